import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { feature } from "../../feature/feature.ts";
import { createUpgrades } from "../sockets/upgrades.ts";
import { createNodeServers } from "./node-servers.ts";
import type { HttpServerOptions } from "./server.ts";
import { echo, testServer } from "./test-server.ts";

/** A route that responds on command. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const slow = feature("slow", {
    routes: (r) => [
      r.get(
        "/slow",
        { permission: "public", summary: "Waits", response: Type.Object({ done: Type.Boolean() }) },
        async () => {
          reached.resolve();
          await gate.promise;
          return { done: true };
        },
      ),
    ],
  });
  return { slow, open: gate.resolve, reached: reached.promise };
}

async function listening(features = [echo], options: Partial<HttpServerOptions> = {}) {
  const { app } = testServer(features, options);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo; // it listens on TCP
  return { app, port };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket.setEncoding("latin1").on("error", () => {});
}

/** Everything received until the server closes the connection. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  if (!socket.closed) await once(socket, "close");
  return text;
}

async function exchange(port: number, request: string): Promise<string> {
  const socket = await open(port);
  const answer = received(socket);
  socket.write(request, "latin1");
  return answer;
}

const get = (path: string, headers = "host: a\r\n") =>
  `GET ${path} HTTP/1.1\r\n${headers}connection: close\r\n\r\n`;

function expectProblem(answer: string, status: number, code: string): void {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain("content-type: application/problem+json; charset=utf-8");
  expect(JSON.parse(body)).toMatchObject({ code, status, request_id: expect.any(String) });
}

describe("a connection", () => {
  it.each([
    ["Host twice", get("/health", "host: a\r\nHost: b\r\n"), 400, "bad_request"],
    ["Host twice, the same", get("/health", "host: a\r\nhost: a\r\n"), 400, "bad_request"],
    ...[
      "Authorization",
      "Content-Type",
      "X-Tenant",
      "X-Tenant-ID",
      "X-API-Key",
      "If-Match",
      "Idempotency-Key",
      "Origin",
      "Client-Cert",
    ].map((name): [string, string, number, string] => [
      `${name} twice`,
      get("/health", `host: a\r\n${name}: b\r\n${name.toLowerCase()}: b\r\n`),
      400,
      "bad_request",
    ]),
    ["a URL of another host than Host", get("http://b/health"), 400, "bad_request"],
    ["a URL with a name and password", get("http://u:p@a/health"), 400, "bad_request"],
    ["a URL of no host", get("http:///health"), 400, "bad_request"],
    ["a URL that isn't HTTP's", get("ftp://a/health"), 400, "bad_request"],
    ["a query with half an escape", get("/health?q=%zz"), 400, "bad_request"],
    ["a query with an escape that ends early", get("/health?q=a%2"), 400, "bad_request"],
    ["a query that is no UTF-8", get("/health?q=%ED%A0%80"), 400, "bad_request"],
    ["a query that is not escaped", get("/health?q=\u00c3\u00a9"), 400, "bad_request"],
    ["no address but *", get("*"), 400, "bad_request"],
    ["an address that is no text", get("/health/%ff"), 400, "bad_request"],
    ["something that is not HTTP", "HELO example.com\r\n\r\n", 400, "bad_request"],
    ["a NUL in a header", get("/health", "host: a\r\nx: \0\r\n"), 400, "bad_request"],
    ["a bare line feed in a header", get("/health", "host: a\r\nx: b\n c\r\n"), 400, "bad_request"],
    [
      "two lengths",
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
      400,
      "bad_request",
    ],
    [
      "a length and chunks",
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n" +
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
      400,
      "bad_request",
    ],
    [
      "chunks under a false name",
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
      400,
      "bad_request",
    ],
    [
      "headers without end",
      get("/health", `host: a\r\nx: ${"a".repeat(20_000)}\r\n`),
      431,
      "headers_too_large",
    ],
    [
      "an odd expectation",
      get("/health", "host: a\r\nexpect: wonders\r\n"),
      417,
      "expectation_failed",
    ],
  ])(
    "with %s gets a response in the documented format, and is closed",
    async (_, request, status, code) => {
      const { port } = await listening();
      expectProblem(await exchange(port, request), status, code);
    },
  );

  it.each(["http://a/health/live", "HTTPS://A/health/live", "http://a/health/live?"])(
    "with the URL %s is answered as with its path",
    async (url) => {
      const { port } = await listening();
      const answer = await exchange(port, get(url));
      expect(answer).toMatch(/^HTTP\/1.1 200 /);
      expect(answer).toContain("alive");
    },
  );

  it("with the URL of a host alone requests its root", async () => {
    const { port } = await listening();
    for (const url of ["http://a", "http://a?x=1"]) {
      expectProblem(await exchange(port, get(url)), 404, "not_found");
    }
  });

  it("without a Host is closed with 400", async () => {
    const { port } = await listening();
    expect(await exchange(port, get("/health", ""))).toMatch(/^HTTP\/1.1 400 /);
  });

  it("that declares a body too large is stopped before it sends it", async () => {
    const { port } = await listening();
    const answer = await exchange(
      port,
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" +
        "content-type: application/json\r\ncontent-length: 99999999\r\n\r\n{",
    );
    expectProblem(answer, 413, "body_too_large");
  });

  it("whose chunks grow past the limit is stopped there", async () => {
    const { port } = await listening();
    const chunk = `10000\r\n${"a".repeat(0x10000)}\r\n`;
    const answer = await exchange(
      port,
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" +
        `content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(5)}`,
    );
    expectProblem(answer, 413, "body_too_large");
  });

  it("gets no misleading response after a valid request followed by a broken one", async () => {
    const { slow, open: openGate, reached } = gated();
    const { port } = await listening([slow]);
    const socket = await open(port);
    const answer = received(socket);
    socket.write("GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n\r\nHELO\r\n\r\n");
    await reached;
    expect(await answer).toBe("");
    openGate();
  });

  it("that breaks off in its body harms nothing and logs no error", async () => {
    const { app, lines } = testServer([echo]);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo; // it listens on TCP
    for (let i = 0; i < 50; i++) {
      const socket = await open(port);
      socket.write(
        "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n" +
          "content-length: 100\r\n\r\n{",
      );
      await sleep(2); // so that some bodies are being read
      socket.destroy();
    }
    expect(await exchange(port, get("/health/live"))).toContain("alive");
    expect(lines.filter((line) => Number(line.level) >= 50)).toEqual([]);
  });

  it("whose body comes a byte at a time is closed", async () => {
    const { port } = await listening([echo], { requestTimeoutMs: 400 });
    const slow = await open(port);
    const closed = received(slow);
    slow.write(
      "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n" +
        "content-length: 1000\r\n\r\n{",
    );
    const drip = setInterval(() => slow.write(" "), 50);
    // At this rate the body would take most of a minute.
    await closed;
    clearInterval(drip);
  });

  it("that sends a byte at a time is closed, while others are served", async () => {
    const { port } = await listening([echo], { requestTimeoutMs: 400 });
    const slow = await Promise.all(Array.from({ length: 500 }, () => open(port)));
    const answers = slow.map(received);
    const request = "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
    let at = 0;
    const drip = setInterval(() => {
      for (const socket of slow)
        if (socket.writable) socket.write(request[at % request.length] ?? "");
      at++;
    }, 50);
    expect(await exchange(port, get("/health/live"))).toContain("alive");
    const ends = await Promise.all(answers);
    clearInterval(drip);
    for (const answer of ends.filter(Boolean)) expectProblem(answer, 408, "request_timeout");
    expect(ends.filter(Boolean).length).toBeGreaterThan(0);
  });
});

describe("a server that closes", () => {
  it("finishes requests in flight, closes idle connections, and refuses new ones", async () => {
    const { slow, open: openGate, reached } = gated();
    const { app, port } = await listening([slow]);
    const idle = await open(port);
    const busy = await open(port);
    const answer = received(busy);
    busy.write("GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n\r\n");
    await reached;
    const idleClosed = once(idle.resume(), "close");
    const closed = app.close();
    await idleClosed;
    await expect(open(port)).rejects.toThrow("ECONNREFUSED");
    openGate();
    await closed;
    expect(await answer).toMatch(/^HTTP\/1.1 200 OK.*{"done":true}/s);
  });

  it("serves a request that arrives meanwhile on an open connection, and then closes it", async () => {
    const { slow, open: openGate, reached } = gated();
    const { app, port } = await listening([slow]);
    const peers: Socket[] = [];
    app.server.on("connection", (socket) => peers.push(socket));
    const first = await open(port);
    const fresh = await open(port);
    const answerToFresh = received(fresh);
    const late = await open(port);
    const answer = received(late);
    first.resume().write("GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n\r\n");
    // A connection with half a request is not idle.
    late.write("GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n");
    await reached;
    await expect.poll(() => peers.filter(({ bytesRead }) => bytesRead > 0).length).toBe(2);
    const closed = app.close();
    await expect.poll(() => app.server.listening).toBe(false);
    late.write("\r\n");
    fresh.write("GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n");
    openGate();
    expect(await answer).toMatch(/^HTTP\/1.1 200 OK.*\r\nconnection: close\r\n.*{"done":true}/is);
    expect(await answerToFresh).toMatch(/^HTTP\/1.1 200 OK.*\r\nconnection: close\r\n/is);
    await closed;
  });

  it("drains first: not ready, while new and open connections are served once more", async () => {
    const { app, port } = await listening([]);
    const kept = await open(port);
    const keptEnds = received(kept);
    kept.write("GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(kept, "data");
    app.drain();
    expect(await exchange(port, get("/health/live"))).toMatch(
      /^HTTP\/1.1 200 .*\r\nconnection: close\r\n/is,
    );
    kept.write("GET /health/ready HTTP/1.1\r\nhost: a\r\n\r\n");
    const [first = "", second] = (await keptEnds).split(/(?=HTTP\/1.1 503)/);
    expect(first).not.toMatch(/connection: close/i);
    expect(second).toMatch(/\r\nconnection: close\r\n.*"status":"stopping"/is);
    await app.close();
  });

  it("does so on every address that it listens on", async () => {
    const reached = Promise.withResolvers<ServerResponse>();
    const upgrades = createUpgrades();
    const servers = createNodeServers({
      requestTimeoutMs: 5_000,
      longTimeoutMs: 5_000,
      graceMs: 5_000,
      upgrades,
    });
    const main = servers.create(() => {});
    const other = servers.create((_request, response) => reached.resolve(response));
    await Promise.all(
      [main, other].map((server) => once(server.listen(0, "127.0.0.1"), "listening")),
    );
    const { port } = other.address() as AddressInfo; // it listens on TCP
    expectProblem(await exchange(port, "HELO\r\n\r\n"), 400, "bad_request");
    const silent = (await open(port)).resume();
    const busy = await open(port);
    const answer = received(busy);
    busy.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    const response = await reached.promise;
    const silentClosed = once(silent, "close");
    let done = false;
    await servers.stopListening();
    const closed = servers.finish().then(() => {
      done = true;
    });
    await silentClosed;
    await sleep(20); // time for it to complete, if it wrongly did
    expect(done).toBe(false);
    response.end("finished");
    await closed;
    expect(await answer).toContain("finished");
  });

  it("does not wait forever", async () => {
    const { slow, reached } = gated();
    const { app, port } = await listening([slow], { shutdownGraceMs: 200 });
    const socket = await open(port);
    socket.resume().write("GET /api/v1/slow HTTP/1.1\r\nhost: a\r\n\r\n");
    await reached;
    // The handler is never released.
    await app.close();
  });
});
