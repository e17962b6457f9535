import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Type } from "typebox";
import { expect, it, onTestFinished, vi } from "vitest";
import { makeCertificate } from "../../../testing/test-certificates.ts";
import { feature } from "../../feature/feature.ts";
import { mediaText } from "../../feature/fields.ts";
import { bytesBody } from "../body/stream-body.ts";
import type { RequestLimits } from "../limits/request-limits.ts";
import { unlimited } from "../limits/request-limits.ts";
import { testServer } from "./test-server.ts";

/** Routes that respond on command, at each of the server's ports. */
async function listening(limits: RequestLimits = unlimited) {
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  const waiting = feature("waiting", {
    routes: (r) => [
      r.get(
        "/wait",
        {
          permission: "public",
          summary: "Waits",
          query: Type.Object({ name: Type.Optional(Type.String()) }),
          response: Type.Object({ name: Type.String() }),
        },
        async ({ query: { name = "" } }) => {
          begun.push(name);
          await gate.promise;
          return { name };
        },
      ),
      r.post(
        "/import",
        {
          permission: "public",
          audit: { none: "a test" },
          summary: "Takes a place",
          body: bytesBody({ maxBytes: 100 }),
          response: { 204: null },
          atATime: "imports",
        },
        async ({ body }) => {
          begun.push("import");
          for await (const _ of body.bytes);
          await gate.promise;
        },
      ),
    ],
  });
  const { app, lines } = testServer([waiting], { limits });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const peers: Socket[] = [];
  app.server.on("connection", (socket: Socket) => peers.push(socket));
  let made = 0;
  app.server.on("request", () => {
    made += 1;
  });
  const certificate = await makeCertificate({ hosts: ["a.example"] });
  const sniCallback = (_name: string, done: (error: null) => void) => done(null);
  const at = { port: 0, host: "127.0.0.1" };
  const tls = await app.listenTls({ ...at, tls: { sniCallback, certificate } });
  const logs = await app.listenFor({ ...at, routes: { "/logs": "/api/v1/wait" } });
  const { port } = app.server.address() as AddressInfo; // it listens on TCP
  const open = async (kind: "HTTP" | "TLS" | "the log port" = "HTTP") => {
    const socket =
      kind === "TLS"
        ? connectTls({ port: tls.port, host: "127.0.0.1", rejectUnauthorized: false })
        : connectTcp(kind === "HTTP" ? port : logs.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.setEncoding("latin1").on("error", () => {});
    await once(socket, kind === "TLS" ? "secureConnect" : "connect");
    return socket;
  };
  return { app, open, gate, begun, lines, peers, made: () => made };
}

const get = (name: string | number, path = "/api/v1/wait", more = "") =>
  `GET ${path}?name=${name} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
const pipelined = (count: number, path?: string) =>
  Array.from({ length: count }, (_, i) => get(i, path)).join("");

/** Everything received until the server closes the connection. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  // `once` would reject if the connection is reset.
  if (!socket.closed) await new Promise((closed) => socket.on("close", closed));
  return text;
}

it("ten pipelined requests are all answered, in order", async () => {
  const { open, gate, begun } = await listening();
  const socket = await open();
  const answers = received(socket);
  socket.write(pipelined(9) + get("last", undefined, "connection: close\r\n"));
  await expect.poll(() => begun).toHaveLength(10);
  gate.resolve();
  const names = [...(await answers).matchAll(/{"name":"(\w+)"}/g)].map(([, name]) => name);
  expect(names).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "last"]);
});

it("a connection continues after ten responses as before", async () => {
  const { open, gate, begun } = await listening();
  gate.resolve();
  const socket = await open();
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  for (let round = 1; round <= 3; round += 1) {
    socket.write(pipelined(10));
    await expect.poll(() => text.match(/HTTP\/1.1 200/g)).toHaveLength(10 * round);
  }
  expect(begun).toHaveLength(30);
});

it.each([
  ["HTTP", "/api/v1/wait"],
  ["TLS", "/api/v1/wait"],
  ["the log port", "/logs"],
] as const)(
  "a connection with 2,000 unanswered requests is closed after ten: %s",
  async (kind, path) => {
    const { open, begun, lines, made } = await listening();
    const socket = await open(kind);
    const answer = received(socket);
    socket.write(pipelined(2_000, path));
    expect(await answer).toBe("");
    expect(begun.length).toBeLessThanOrEqual(10);
    // Node has not even parsed the others: that alone would take tens of milliseconds.
    if (kind === "HTTP") expect(made()).toBe(11);
    expect(lines.filter(({ msg }) => msg === "request").length).toBeLessThanOrEqual(10);
  },
);

it("a connection with many unmet expectations is closed after ten", async () => {
  const { open } = await listening();
  const socket = await open();
  const answer = received(socket);
  socket.write(get(1) + get(2, undefined, "expect: wonders\r\n").repeat(500));
  expect(await answer).toBe("");
});

it("a WebSocket handshake behind an unanswered request closes the connection, and the server continues", async () => {
  const { open, begun, gate } = await listening();
  const handshake =
    "GET /api/v1/wait HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  for (const kind of ["HTTP", "TLS", "the log port"] as const) {
    const socket = await open(kind);
    const answer = received(socket);
    socket.write(get("first", kind === "the log port" ? "/logs" : undefined) + handshake);
    expect(await answer).toBe("");
  }
  expect(begun).toEqual(["first", "first", "first"]);
  gate.resolve();
  const socket = await open();
  const answer = received(socket);
  socket.write(get("next", undefined, "connection: close\r\n"));
  expect(await answer).toContain('{"name":"next"}');
});

it.each([
  ["GET", ""],
  ["GET", "connection: upgrade\r\nupgrade: websocket\r\n"],
  ["POST", "content-length: 1\r\n"],
])(
  "a client that resets a %s before a stream's first piece is no error of ours: %s",
  async (method, headers) => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    async function* pieces() {
      begun.resolve();
      await gate.promise;
      yield "piece";
    }
    const response = mediaText("text/csv");
    const options = { permission: "public", summary: "Streams", response } as const;
    const stream = ({ header }: { header: (name: string, value: string) => void }) => {
      header("content-type", "text/csv");
      return pieces();
    };
    const streams = feature("streams", {
      routes: (r) => [
        r.get("/stream", options, stream),
        r.post(
          "/stream",
          { ...options, audit: { none: "a test" }, body: bytesBody({ maxBytes: 1 }) },
          async ({ body, header }) => {
            for await (const _ of body.bytes);
            return stream({ header });
          },
        ),
      ],
    });
    const { app, lines } = testServer([streams]);
    const { port } = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
    const socket = connectTcp(Number(port), "127.0.0.1").on("error", () => {});
    socket.write(`${method} /api/v1/stream HTTP/1.1\r\nhost: a\r\n${headers}\r\nx`);
    await begun.promise;
    socket.resetAndDestroy();
    await expect.poll(() => lines.some(({ aborted }) => aborted === true)).toBe(true);
    gate.resolve();
    await new Promise(setImmediate);
    expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  },
);

it("a request queued behind another response frees its place when the client disconnects", async () => {
  const { app, open, gate, begun } = await listening();
  const socket = await open();
  socket.write(
    `${get("first")}POST /api/v1/import HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx`,
  );
  await expect.poll(() => begun).toEqual(["first", "import"]);
  expect((await app.inject({ method: "POST", url: "/api/v1/import" })).statusCode).toBe(429);
  socket.destroy();
  await vi.waitFor(async () => {
    app.inject({ method: "POST", url: "/api/v1/import" }).catch(() => undefined);
    await new Promise(setImmediate);
    expect(begun).toEqual(["first", "import", "import"]);
  });
  gate.resolve();
});

it.each(["refuseIfExhausted", "chargeCaller", "throttle"] as const)(
  "nothing begins for a client that disconnected while its request waited (%s)",
  async (stage) => {
    const turn = Promise.withResolvers<void>();
    const asked = vi.fn();
    const wait = () => {
      asked();
      return turn.promise;
    };
    const { open, begun, gate, peers } = await listening({
      ...unlimited,
      [stage]: wait,
    });
    gate.resolve();
    const socket = await open();
    socket.write(pipelined(3));
    await expect.poll(() => asked).toHaveBeenCalledTimes(3);
    socket.destroy();
    await expect.poll(() => peers[0]?.closed).toBe(true);
    turn.resolve();
    const next = await open();
    const answer = received(next);
    next.write(get("next", undefined, "connection: close\r\n"));
    await answer;
    expect(begun).toEqual(["next"]);
  },
);
