/** S3 servers that misbehave, with fake timers: tests when the driver gives up. */
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "./driver.ts";
import { createS3Driver } from "./s3-driver.ts";

let server: Server | undefined;
let driver: StorageDriver | undefined;
const sockets = new Set<Socket>();

/** @param answer what the peer does once a request has begun */
async function openDriver(answer: (socket: Socket) => void): Promise<StorageDriver> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => answer(socket));
    socket.resume();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  const endpoint = `http://127.0.0.1:${address.port}`;
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  driver = createS3Driver({
    s3: { bucket: "files", region: "us-east-1", endpoint, pathStyle: true },
    aws: { region: "us-east-1", endpoint, credentials },
    cdnBaseUrl: undefined,
  });
  // Loads the SDK before the timers are faked.
  await driver.signDownload("a/b", { type: "text/plain", disposition: "inline" });
  return driver;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  driver?.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server?.close(resolve));
});

async function* bytes(size: number) {
  yield Buffer.alloc(size, "x");
}
const consume = async (list: AsyncIterable<unknown>) => {
  for await (const _ of list);
};
const operations: Readonly<Record<string, (driver: StorageDriver) => Promise<unknown>>> = {
  put: (driver) => driver.put("a/b", bytes(4), "text/plain"),
  "put in parts": (driver) => driver.put("a/b", bytes(6_000_000), "text/plain"),
  stat: (driver) => driver.stat("a/b"),
  start: (driver) => driver.start("a/b", 64),
  copy: (driver) => driver.copy("a/b", "a/c", '"tag"'),
  delete: (driver) => driver.delete("a/b"),
  list: (driver) => consume(driver.list("a/")),
  deleteAll: (driver) => driver.deleteAll("a/"),
  sweep: (driver) => driver.sweep(),
  check: async (driver) => driver.check?.(),
};

/** Advances the clock until all are settled. @returns for each, after how many seconds and how */
async function settled(running: Readonly<Record<string, Promise<unknown>>>) {
  const found: Record<string, { seconds: number; result: unknown }> = {};
  let seconds = 0;
  for (const [name, promise] of Object.entries(running)) {
    const note = (result: unknown) => {
      found[name] = { seconds, result };
    };
    promise.then(note, note);
  }
  for (; Object.keys(found).length < Object.keys(running).length && seconds < 120; seconds += 0.5) {
    // Let data in transit on the loopback interface arrive.
    for (let i = 0; i < 50; i++) await turn();
    await vi.advanceTimersByTimeAsync(500);
  }
  for (const name of Object.keys(running)) {
    if (!found[name]) throw new Error(`${name} has not ended after ${seconds} s`);
  }
  return found;
}

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\netag: "x"\r\n';
const everySoOften = (socket: Socket, text: string) => {
  const timer = setInterval(() => socket.write(text), 5);
  socket.on("close", () => clearInterval(timer));
};

describe("an S3 that", () => {
  it.each<[string, (socket: Socket) => void]>([
    ["stays silent", () => {}],
    ["sends half of an answer's head", (socket) => void socket.write(head.slice(0, 40))],
    [
      "sends its head without an end",
      (socket) => {
        socket.write(head);
        everySoOften(socket, "x-a: b\r\n");
      },
    ],
    ["sends half of a body", (socket) => void socket.write(`${head}content-length: 99\r\n\r\n<a`)],
    [
      "sends its body byte by byte",
      (socket) => {
        socket.write(`${head}content-length: 1000000\r\n\r\n<a>`);
        everySoOften(socket, " ");
      },
    ],
  ])("%s is given up in time, in every operation", async (_what, answer) => {
    const peer = await openDriver(answer);
    // A HEAD is complete after the head, and a start needs only 64 bytes.
    const { stat, start, check, ...others } = operations;
    const running = Object.fromEntries(
      Object.entries(_what.includes("body") ? others : operations).map(([name, run]) => [
        name,
        run(peer),
      ]),
    );
    for (const [name, { seconds, result }] of Object.entries(await settled(running))) {
      expect([name, result]).toEqual([name, expect.objectContaining({ status: 503 })]);
      expect(result).toMatchObject({
        code: "storage_unavailable",
        headers: { "retry-after": expect.any(String) },
      });
      // Includes a second attempt, and deleting the parts.
      expect(seconds).toBeLessThanOrEqual(name === "copy" ? 61 : 21);
    }
  });

  it("sends endlessly is not read endlessly", async () => {
    let sent = 0;
    const chunk = Buffer.concat([
      Buffer.from("10000\r\n"),
      Buffer.alloc(65_536, "x"),
      Buffer.from("\r\n"),
    ]);
    const peer = await openDriver((socket) => {
      socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
      const pump = () => {
        if (socket.destroyed || sent > 300_000_000) return;
        sent += chunk.length;
        if (socket.write(chunk)) setImmediate(pump);
        else socket.once("drain", pump);
      };
      pump();
    });
    // The clock stands still: the size limit ends them.
    expect(await peer.start("a/b", 64)).toEqual(Buffer.alloc(64, "x"));
    for (const run of [consume(peer.list("a/")), peer.delete("a/b")]) {
      await expect(run).rejects.toMatchObject({ status: 503 });
    }
    expect(sent).toBeLessThan(100_000_000);
  });

  it.each<[string, string]>([
    ["hangs up", ""],
    ["cuts its body short", `${head}content-length: 99\r\n\r\n<a`],
    ["sends no XML", `${head}content-length: 9\r\n\r\n<a><b></a`],
    ["fails", "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"],
    ["has other clocks", denied(403, "RequestTimeTooSkewed")],
    ["refuses", denied(403, "AccessDenied")],
    ["is of another region", denied(301, "PermanentRedirect")],
    ["has no such bucket", denied(404, "NoSuchBucket")],
    ["asks for patience", denied(503, "SlowDown")],
  ])("%s counts as unavailable", async (_what, answer) => {
    const peer = await openDriver((socket) => {
      if (answer) socket.write(answer);
      setTimeout(() => socket.destroy(), 20);
    });
    const { put, "put in parts": inParts, copy, list } = operations;
    const asked =
      _what.includes("XML") || _what.includes("body")
        ? { inParts, copy, list }
        : { put, inParts, copy, list };
    const running = Object.fromEntries(
      Object.entries(asked).map(([name, run]) => [name, run?.(peer) ?? Promise.resolve()]),
    );
    for (const [name, { result }] of Object.entries(await settled(running))) {
      expect([name, result]).toEqual([
        name,
        expect.objectContaining({ code: "storage_unavailable", status: 503 }),
      ]);
    }
  });

  it("is full is reported as such", async () => {
    const peer = await openDriver((socket) => void socket.end(denied(507, "XMinioStorageFull")));
    const { put } = await settled({ put: peer.put("a/b", bytes(4), "text/plain") });
    expect(put?.result).toMatchObject({ code: "storage_full", status: 507 });
  });

  it("is not awaited for a client that has disconnected", async () => {
    const peer = await openDriver(() => {});
    const gone = new AbortController();
    const put = peer.put("a/b", bytes(4), "text/plain", gone.signal);
    setTimeout(() => gone.abort(), 1_000);
    expect((await settled({ put })).put?.seconds).toBeLessThanOrEqual(1);
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });
});

function denied(status: number, code: string): string {
  const body = `<Error><Code>${code}</Code><Message>no</Message></Error>`;
  return `HTTP/1.1 ${status} No\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}
