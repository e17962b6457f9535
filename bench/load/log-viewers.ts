/**
 * Log viewers in their own process: `node log-viewers.ts <url> <file of tokens, one per stream>`.
 * They read and discard everything, because rendering lines is the work of other machines; for the
 * same reason they have a low priority. Prints `open` when all streams are open; when standard
 * input ends, the bytes received since and the processor time used, and exits.
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
    throw new Error(`a viewer got status ${response.statusCode}`);
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
