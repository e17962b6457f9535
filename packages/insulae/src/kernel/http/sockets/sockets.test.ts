import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { constants, deflateRawSync } from "node:zlib";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket as Client } from "ws";
import { until } from "../../../testing/until.ts";
import { feature } from "../../feature/feature.ts";
import { AppError } from "../../lib/errors.ts";
import type { OutgoingSocket } from "../../lib/outgoing-socket.ts";
import { ownedLog } from "../../telemetry/log.ts";
import { createLogHub } from "../../telemetry/log-hub.ts";
import { callerFor, testServer, testTenant } from "../server/test-server.ts";

const quick = { checkMs: 20, heartbeatMs: 50, uncheckedMs: 200 };
const calm = { checkMs: 20, heartbeatMs: 60_000, uncheckedMs: 200 };

/** What the process holds, without what only waits to be collected. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A server with one WebSocket, which anybody may open. */
async function listen(options: { times?: typeof quick; check?: () => void } = {}) {
  const opened: OutgoingSocket[] = [];
  let left = 0;
  const sockets = feature("sockets", {
    routes: (r) => [
      r.get(
        "/socket",
        {
          permission: "public",
          socket: { ticketsFor: "test" },
          summary: "A socket",
          response: { 101: null },
        },
        () => {
          options.check?.();
          return (socket: OutgoingSocket) => {
            opened.push(socket);
            socket.onLeft(() => {
              left += 1;
            });
          };
        },
      ),
    ],
  });
  const { app, lines } = testServer([sockets], { socketTimes: options.times ?? calm });
  await app.listen({ port: 0 });
  const { port } = app.server.address() as AddressInfo; // it listens
  return { app, port, opened, lines, left: () => left };
}

/** The bare connection of a WebSocket, past its handshake. */
async function openRaw(port: number, more = ""): Promise<Socket> {
  const socket = connect(port, "localhost");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(
    `GET /api/v1/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n${more}\r\n`,
  );
  const [reply] = await once(socket, "data");
  expect(String(reply)).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

/** A frame as a client sends it (RFC 6455, section 5.2), masked with zeros. */
function frame(opcode: number, payload: Buffer, { fin = true, compressed = false } = {}): Buffer {
  const first = (fin ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode;
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), payload]);
}

const ended = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));

/** The code of the frame that closes, and that the connection has ended. */
async function closing(socket: Socket): Promise<number | undefined> {
  let seen: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
  });
  await ended(socket);
  const at = seen.indexOf(0x88);
  return at < 0 ? undefined : seen.readUInt16BE(at + 2);
}

const [text, continuation, ping] = [1, 0, 9];

it("sends texts of any length as messages of their own", async () => {
  const { port, opened } = await listen();
  const client = new Client(`ws://localhost:${port}/api/v1/socket`);
  onTestFinished(() => client.terminate());
  const heard: string[] = [];
  client.on("message", (data) => heard.push(String(data)));
  const texts = ["", "é", "x".repeat(126), "y".repeat(70_000)];
  await once(client, "open");
  for (const text of texts) opened[0]?.send(text);
  await expect.poll(() => heard).toEqual(texts);
});

describe("a WebSocket is closed", () => {
  it("when a message has too many fragments, also empty ones", async () => {
    const { port } = await listen();
    for (const piece of [Buffer.alloc(1), Buffer.alloc(0)]) {
      const socket = await openRaw(port);
      const closed = closing(socket);
      socket.write(frame(text, Buffer.from("a"), { fin: false }));
      for (let i = 0; i < 10_000; i += 1) {
        socket.write(frame(continuation, piece, { fin: false }));
      }
      expect(await closed).toBe(1008);
    }
  });

  it("when a message is too large, in one piece or in several", async () => {
    const { port } = await listen();
    const whole = await openRaw(port);
    whole.write(frame(text, Buffer.alloc(1_025)));
    expect(await closing(whole)).toBe(1009);
    const pieces = await openRaw(port);
    pieces.write(frame(text, Buffer.alloc(1_000), { fin: false }));
    pieces.write(frame(continuation, Buffer.alloc(1_000)));
    expect(await closing(pieces)).toBe(1009);
  });

  it("when it is sent something compressed: nobody agreed to that", async () => {
    const { port } = await listen();
    const socket = await openRaw(port, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    const bomb = deflateRawSync(Buffer.alloc(900_000), { finishFlush: constants.Z_SYNC_FLUSH });
    socket.write(frame(text, bomb.subarray(0, -4), { compressed: true }));
    expect(await closing(socket)).toBe(1002);
  });

  it("when it is sent without end, if only small messages or pings", async () => {
    const { port, lines } = await listen();
    for (const opcode of [text, ping]) {
      const socket = await openRaw(port);
      const closed = ended(socket.resume());
      const flood = frame(opcode, Buffer.from("x"));
      for (let i = 0; i < 5_000; i += 1) socket.write(flood);
      await closed;
    }
    // It may be reset before the frame that closes it gets through, or before the line is written.
    await until("both end", () => lines.filter(({ why }) => why === "too_much").length === 2);
  });

  it("when its peer is silent for two heartbeats, and not when it answers", async () => {
    const { port, left } = await listen({ times: quick });
    const client = new Client(`ws://localhost:${port}/api/v1/socket`);
    let pings = 0;
    client.on("ping", () => {
      pings += 1;
    });
    await once(client, "open");
    const silent = await openRaw(port);
    await ended(silent.resume());
    await until("six pings have come", () => pings >= 6);
    expect(client.readyState).toBe(Client.OPEN);
    expect(left()).toBe(1);
    client.terminate();
  });

  it("when its handler would refuse it now", async () => {
    let refused = false;
    const check = () => {
      if (refused) throw new AppError({ code: "over", status: 403, title: "Over" });
    };
    const { port } = await listen({ check });
    const client = new Client(`ws://localhost:${port}/api/v1/socket`);
    await once(client, "open");
    refused = true;
    const [code, reason] = await once(client, "close");
    expect([code, String(reason)]).toEqual([1008, "over"]);
  });

  it("when nobody can tell for a while whether it may stay", async () => {
    let away = false;
    const check = () => {
      if (away) throw new Error("the database is away");
    };
    const { port } = await listen({ check });
    const client = new Client(`ws://localhost:${port}/api/v1/socket`);
    await once(client, "open");
    away = true;
    const [code] = await once(client, "close");
    expect(code).toBe(1011);
  });

  it("when the server closes, also if the peer does not answer", async () => {
    const { app, port } = await listen();
    const socket = await openRaw(port);
    await app.close();
    await ended(socket.resume());
  });
});

it("checks WebSockets in turns: many at once would hold up the requests", async () => {
  let watching = false;
  let now = 0;
  let most = 0;
  const checked: number[] = [];
  const check = () => {
    if (!watching) return;
    if (now === 0) setImmediate(() => (now = 0));
    now += 1;
    most = Math.max(most, now);
    checked.push(now);
  };
  const { port } = await listen({ times: { ...calm, checkMs: 250 }, check });
  const clients = await Promise.all(Array.from({ length: 10 }, () => openRaw(port)));
  watching = true;
  await expect.poll(() => checked.length, { timeout: 20_000 }).toBeGreaterThan(30);
  expect(most).toBeLessThan(4);
  for (const client of clients) client.destroy();
});

describe("the log hub", () => {
  const lineOf = (i: number) => `line ${i} ${"x".repeat(1_000)}`;

  /** The texts of whole frames. */
  function textsOf(frames: Buffer): string[] {
    const texts: string[] = [];
    for (let at = 0; at < frames.length; ) {
      expect(frames[at]).toBe(0x81);
      const short = frames[at + 1] ?? 0;
      const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
      const length =
        wide === 0
          ? short
          : wide === 2
            ? frames.readUInt16BE(at + 2)
            : Number(frames.readBigUInt64BE(at + 2));
      texts.push(frames.subarray(at + 2 + wide, at + 2 + wide + length).toString());
      at += 2 + wide + length;
    }
    return texts;
  }

  it("drops the oldest lines for a reader who is too slow, says how many, and goes on", async () => {
    const hub = createLogHub({ format: "text", bufferSize: 100 });
    const log = hub.tap(pino({ base: null }, { write() {} }));
    const { port, opened } = await listen();
    const client = new Client(`ws://localhost:${port}/api/v1/socket`);
    await once(client, "open");
    onTestFinished(() => client.terminate());
    const [socket] = opened;
    if (!socket) throw new Error("it was not opened");
    hub.watch(socket, {});

    client.pause();
    const count = 20_000;
    const before = heldBytes();
    for (let i = 0; i < count; i += 1) {
      log.info(lineOf(i));
      if (i % 500 === 0) await new Promise(setImmediate);
    }
    // All lines together are 20 MB.
    expect(heldBytes() - before).toBeLessThan(5_000_000);
    const got: string[] = [];
    client.on("message", (data) => got.push(String(data)));
    client.resume();
    await until("the last line has come", () => got.at(-1)?.includes(`line ${count - 1} `));

    const warnings = got.filter((line) => line.startsWith("[WARNING] "));
    const dropped = warnings.map((line) => Number(/(\d+) lines? w/.exec(line)?.[1]));
    const sum = dropped.reduce((total, one) => total + one, 0);
    expect(sum).toBeGreaterThan(0);
    expect(got.length - warnings.length + sum).toBe(count);
  });

  it("keeps what its bound allows for one that does not read at all", async () => {
    const hub = createLogHub({ format: "json", bufferSize: 10 });
    const log = hub.tap(pino({ base: null }, { write() {} }));
    const sent: string[] = [];
    const done: (() => void)[] = [];
    const sendFrames = (frames: Buffer, ready: () => void) => {
      sent.push(...textsOf(frames));
      done.push(ready);
    };
    hub.watch({ sendFrames, onLeft() {} }, {});
    // Eight or nine of them are as much as may be on its way.
    for (let i = 0; i < 10; i += 1) log.info("y".repeat(100_000));
    await expect.poll(() => sent.length).toBeGreaterThan(7);
    const underWay = sent.length;
    expect(underWay).toBeLessThan(10);
    for (let i = 0; i < 1_000; i += 1) log.info(lineOf(i));
    done.shift()?.();
    await expect.poll(() => sent.length).toBe(underWay + 11);
    expect(JSON.parse(sent[underWay] ?? "")).toMatchObject({
      level: "WARN",
      message: `[WARNING] ${1_000 - underWay} lines were dropped: this reader is too slow`,
    });
    expect(hub.stats()).toEqual({ viewers: 1, dropped: 1_000 - underWay });
  });

  it.each([
    { loop: "has time", isBusy: false, viewers: 400, sendMs: 0.1, share: 0.05 },
    { loop: "is busy", isBusy: true, viewers: 20, sendMs: 0.5, share: 0.01 },
  ])("serves many viewers in turns, for a share of the time: the event loop $loop", async (row) => {
    const hub = createLogHub({ format: "text", bufferSize: 1_000, isBusy: () => row.isBusy });
    const log = hub.tap(pino({ base: null }, { write() {} }));
    const served = Array.from({ length: row.viewers }, () => 0);
    let busy = 0;
    served.forEach((_, viewer) => {
      const sendFrames = (frames: Buffer, sent: () => void) => {
        served[viewer] = (served[viewer] ?? 0) + textsOf(frames).length;
        // As long as a slow system call takes.
        const until = performance.now() + row.sendMs;
        while (performance.now() < until);
        busy += row.sendMs;
        sent();
      };
      hub.watch({ sendFrames, onLeft() {} }, {});
    });
    log.info("one");
    const begun = performance.now();
    await expect.poll(() => served.every((lines) => lines === 1), { timeout: 20_000 }).toBe(true);
    expect(busy).toBeGreaterThan(9);
    expect(busy / (performance.now() - begun)).toBeLessThan(row.share * 1.1);
  });

  it("leaves the log's own level and lines as they are, for children and for other loggers", async () => {
    const written: string[] = [];
    const base = pino(
      { level: "warn", base: null },
      { write: (line: string) => void written.push(line) },
    );
    const hub = createLogHub({ format: "text", bufferSize: 10 });
    const log = hub.tap(base);
    const shown: string[] = [];
    let leave = () => {};
    const socket: Pick<OutgoingSocket, "sendFrames" | "onLeft"> = {
      sendFrames: (frames) => shown.push(...textsOf(frames)),
      onLeft: (fn) => {
        const before = leave;
        leave = () => [before(), fn()];
      },
    };
    expect(log.isLevelEnabled("info")).toBe(false);
    hub.watch(socket, {});
    log.info("to viewers only");
    log.child({ part: 1 }).warn("to both");
    base.warn("another's");
    await expect.poll(() => shown.length).toBe(2);
    leave();
    expect(log.isLevelEnabled("info")).toBe(false);
    log.warn("to the log only");
    expect(shown.map((line) => line.slice(26))).toEqual([
      "INFO [insulae::server] to viewers only",
      "WARN [insulae::server] to both part=1",
    ]);
    expect(written.map((line) => JSON.parse(line).msg)).toEqual([
      "to both",
      "another's",
      "to the log only",
    ]);
  });

  it("gives no line of one request to another tenant, and none of nobody's to any", async () => {
    const hub = createLogHub({ format: "text", bufferSize: 10 });
    const shown: string[] = [];
    const all: string[] = [];
    const into = (list: string[]) => (frames: Buffer) => void list.push(...textsOf(frames));
    hub.watch({ sendFrames: into(shown), onLeft() {} }, { tenantId: "tenant-b" });
    hub.watch({ sendFrames: into(all), onLeft() {} }, {});
    const logging = feature("logging", {
      routes: (r) => [
        r.get(
          "/log",
          { permission: "public", context: "any", summary: "Logs", response: { 204: null } },
          ({ log }) => {
            log.info({ tenant_id: "tenant-b" }, "stolen");
            log.child({ tenant_id: "tenant-b" }).info("stolen");
          },
        ),
      ],
    });
    for (const tenant of [testTenant("tenant-a"), undefined]) {
      const log = hub.tap(pino({ base: null }, { write() {} }));
      const { app } = testServer([logging], { log, identify: () => callerFor(tenant) });
      expect((await app.inject({ url: "/api/v1/log" })).statusCode).toBe(204);
    }
    const last = hub.tap(pino({ base: null }, { write() {} }));
    ownedLog(last, {}, "tenant-b").info("their own");
    await expect.poll(() => all.filter((line) => line.includes("stolen")).length).toBe(4);
    await expect.poll(() => shown.length).toBeGreaterThan(0);
    expect(shown).toEqual([expect.stringContaining("their own")]);
  });
});
