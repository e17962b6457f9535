import { once } from "node:events";
import { connect as connectPlainly, type Socket } from "node:net";
import { connect } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { makeCertificate } from "../../../testing/test-certificates.ts";
import type { HttpServerOptions } from "./server.ts";
import { echo, testServer } from "./test-server.ts";

async function listening(options: Partial<HttpServerOptions> = {}) {
  const { app, lines } = testServer([echo], options);
  await app.ready();
  const certificate = await makeCertificate({ hosts: ["a.example"] });
  const { port } = await app.listenTls({
    port: 0,
    host: "127.0.0.1",
    tls: { sniCallback: (_name, done) => done(null), certificate },
  });
  return { app, port, lines };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
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

const alive = "GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

it("200 TLS connections that send a byte at a time are closed, while others are served", async () => {
  const { port } = await listening({ requestTimeoutMs: 2_000 });
  const slow = await Promise.all(Array.from({ length: 200 }, () => open(port)));
  const answers = slow.map(received);
  const request = "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
  let at = 0;
  const drip = setInterval(() => {
    for (const socket of slow)
      if (socket.writable) socket.write(request[at % request.length] ?? "");
    at++;
  }, 100);
  onTestFinished(() => clearInterval(drip));
  const quick = await open(port);
  const answer = received(quick);
  quick.write(alive);
  expect(await answer).toContain("alive");
  const ends = (await Promise.all(answers)).filter(Boolean);
  expect(ends.length).toBeGreaterThan(0);
  for (const end of ends) expect(end).toMatch(/^HTTP\/1.1 408 .*request_timeout/s);
});

it("a handshake that never completes is aborted", async () => {
  const { port, lines } = await listening({ requestTimeoutMs: 300 });
  const silent = connectPlainly(port, "127.0.0.1");
  const half = connectPlainly(port, "127.0.0.1");
  half.on("connect", () => half.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])));
  await Promise.all([received(silent), received(half)]);
  expect(lines.filter((line) => Number(line.level) >= 50)).toEqual([]);
});

it("a request without TLS on the TLS port is closed without a response", async () => {
  const { port } = await listening();
  const plain = connectPlainly(port, "127.0.0.1").on("error", () => {});
  const answer = received(plain);
  plain.write(alive);
  expect(await answer).not.toContain("alive");
});

it("a length and chunks over TLS are closed with 400", async () => {
  const { port } = await listening();
  const socket = await open(port);
  const answer = received(socket);
  socket.write(
    "POST /api/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n" +
      "transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
  );
  expect(await answer).toMatch(/^HTTP\/1.1 400 /);
});

it("a server that closes also closes idle and handshaking TLS connections", async () => {
  const { app, port } = await listening({ shutdownGraceMs: 5_000 });
  const idle = await open(port);
  const silent = await open(port);
  const shaking = connectPlainly(port, "127.0.0.1");
  await once(shaking, "connect");
  const busy = received(idle);
  idle.write("GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(idle, "data");
  const ends = [busy, received(silent), received(shaking)];
  await app.close();
  await Promise.all(ends);
});
