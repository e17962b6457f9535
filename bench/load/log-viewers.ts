/**
 * Viewers of the log, in a process of their own: `node log-viewers.ts <url> <file of tokens, one for
 * each stream>`. They read all that they are sent, and look at nothing: what a browser makes of the
 * lines, it makes on another machine. For the same reason they yield to whoever wants the processor.
 * Says `open` when all streams are; when its standard input ends, how many bytes came since, how long
 * that took of a processor's time, and ends.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { Socket } from "node:net";
import { constants, setPriority } from "node:os";

const [url = "", file = ""] = process.argv.slice(2);
const tokens = readFileSync(file, "utf8").trimEnd().split("\n");
const atOnce = 10;

let bytes = 0;

async function open(token: string): Promise<Socket> {
  const asking = request(url, {
    headers: {
      authorization: `Bearer ${token}`,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
    },
  });
  asking.on("response", (response) => {
    throw new Error(`a viewer was answered ${response.statusCode}`);
  });
  asking.end();
  const [, socket] = await once(asking, "upgrade");
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  return socket;
}

const sockets: Socket[] = [];
for (let i = 0; i < tokens.length; i += atOnce) {
  sockets.push(...(await Promise.all(tokens.slice(i, i + atOnce).map(open))));
}
setPriority(constants.priority.PRIORITY_LOW);
bytes = 0;
const before = process.cpuUsage();
console.log("open");
process.stdin.resume();
await once(process.stdin, "end");
const { user, system } = process.cpuUsage(before);
for (const socket of sockets) socket.destroy();
console.log(JSON.stringify({ bytes, processorMs: (user + system) / 1000 }));
