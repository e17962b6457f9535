import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { PassThrough } from "node:stream";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { describe, expect, it, vi } from "vitest";
import { feature } from "../../feature/feature.ts";
import { testServer } from "../server/test-server.ts";
import { createBodyReader } from "./body-bytes.ts";

/** A reader with a limit of a few bytes, and bodies under the test's control. */
function reading(limits = { process: 10_000, payer: 4_000 }) {
  const read = createBodyReader(limits);
  return (client: string, length?: number, tenant?: string) => {
    const stream = new PassThrough();
    const outcome = Promise.withResolvers<number | string>();
    const request = {
      headers: length === undefined ? {} : { "content-length": String(length) },
      routeOptions: { bodyLimit: 3_000 },
      state: {
        client: { block: client, networks: [] },
        caller: tenant && {
          user: {},
          tenant: { id: tenant, ownerAccountId: tenant.split("/")[1] && tenant.split("/")[0] },
        },
      },
    };
    read(
      request as unknown as FastifyRequest,
      stream as unknown as IncomingMessage,
      (error, bytes) =>
        outcome.resolve(bytes?.length ?? String(error && Reflect.get(error, "code"))),
    );
    const send = async (bytes: number) => {
      stream.write(Buffer.alloc(bytes));
      await new Promise(setImmediate);
    };
    return { stream, send, outcome: outcome.promise };
  };
}

describe("the bytes of incomplete bodies", () => {
  it("are limited per client, and freed when a body is complete or aborted", async () => {
    const body = reading();
    const first = body("a", 3_000);
    await first.send(2_744); // a chunk counts 256 bytes extra: 3,000
    const fits = body("a", 1_000);
    await expect(body("a", 1_001).outcome).resolves.toBe("too_many_at_once");
    await expect(body("a", 3_001).outcome).resolves.toBe("body_too_large");
    body("b", 3_000);
    const unannounced = body("a");
    await unannounced.send(744);
    await unannounced.send(1);
    await expect(unannounced.outcome).resolves.toBe("too_many_at_once");
    fits.stream.destroy();
    first.stream.end(Buffer.alloc(256));
    await expect(first.outcome).resolves.toBe(3_000);
    for (let i = 0; i < 3; i += 1) {
      const next = body("a", 3_000);
      await next.send(2_000);
      next.stream.destroy(i === 1 ? new Error("reset") : undefined);
      await next.outcome;
    }
    const last = body("a", 2_999);
    last.stream.end(Buffer.alloc(2_999));
    await expect(last.outcome).resolves.toBe(2_999);
  });

  it("are limited per process, counting only received bytes", async () => {
    const body = reading();
    for (let i = 0; i < 20; i += 1) body(`idle${i}`, 3_000);
    const others = ["b", "c", "d"].map((client) => body(client, 3_000));
    for (const other of others) await other.send(2_744);
    // Nobody holds more than the newcomer would.
    await expect(body("e", 3_000).outcome).resolves.toBe("busy");
    others[0]?.stream.destroy();
    await others[0]?.outcome;
    const next = body("e", 3_000);
    next.stream.end(Buffer.alloc(3_000));
    await expect(next.outcome).resolves.toBe(3_000);
  });

  it("leave room for a newcomer: the largest holder loses its oldest body", async () => {
    const body = reading();
    const held: ReturnType<typeof body>[] = [];
    for (const client of ["b", "b", "c", "c", "d"]) {
      const one = body(client);
      await one.send(client === "d" ? 1_744 : 1_600);
      held.push(one);
    }
    // 3,712 bytes each for b and c, 2,000 for d: 576 are free.
    const log = body("e", 900);
    log.stream.end(Buffer.alloc(900));
    await expect(log.outcome).resolves.toBe(900);
    await expect(held[0]?.outcome).resolves.toBe("busy");
    for (const one of held.slice(1)) {
      one.stream.end();
      await expect(one.outcome).resolves.toEqual(expect.any(Number));
    }
  });

  it("of all tenants of an account count together, so that none of them keeps others out", async () => {
    const body = reading();
    const held = [];
    for (let i = 0; i < 5; i += 1) {
      const one = body("m", 3_000, `mallory/${i}`);
      await one.send(1_744);
      held.push(one);
    }
    const others = ["ada", "bob"].map((tenant) => body("v", 2_700, tenant));
    for (const other of others) {
      other.stream.write(Buffer.alloc(1_000));
      await new Promise(setImmediate);
      other.stream.end(Buffer.alloc(1_700));
      await expect(other.outcome).resolves.toBe(2_700);
    }
    const ends = held.map(({ outcome }) => Promise.race([outcome, Promise.resolve("held")]));
    expect((await Promise.all(ends)).filter((end) => end === "busy")).toHaveLength(2);
  });

  it("are charged to the tenant, wherever its users send from, and to the client if nobody is signed in", async () => {
    const body = reading();
    await body("a", 3_000, "acme").send(2_744);
    await expect(body("b", 1_001, "acme").outcome).resolves.toBe("too_many_at_once");
    const stranger = body("a", 1_001);
    stranger.stream.end(Buffer.alloc(1_001));
    await expect(stranger.outcome).resolves.toBe(1_001);
  });

  it("are refused by the server until stalled connections are closed", async () => {
    const taking = feature("taking", {
      routes: (r) => [
        r.post(
          "/taking",
          {
            permission: "authenticated",
            audit: { none: "a test" },
            summary: "Takes a list",
            body: Type.Array(Type.String()),
            response: { 204: null },
          },
          () => undefined,
        ),
      ],
    });
    const { app } = testServer([taking]);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo; // it listens on TCP
    const head =
      "POST /api/v1/taking HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    const open = async (text: string) => {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      await once(socket, "connect");
      socket.write(text);
      return socket;
    };
    // The last ones find no room for the length they declare, and are answered at once.
    const sockets = await Promise.all(
      Array.from({ length: 36 }, () => open(`${head}["${"a".repeat(990_000)}`)),
    );
    await vi.waitFor(
      async () => {
        const socket = await open(head);
        sockets.push(socket);
        const [answer] = await once(socket, "data", { signal: AbortSignal.timeout(1_000) });
        expect(String(answer)).toMatch(/^HTTP\/1.1 429 /);
        expect(String(answer)).toContain("retry-after: 1\r\n");
        expect(String(answer)).toContain("connection: close\r\n");
        expect(String(answer)).toContain("Bodies being received can take 33554432 bytes");
      },
      { timeout: 20_000 },
    );
    for (const socket of sockets) socket.destroy();
    const body = JSON.stringify(Array.from({ length: 100 }, () => "a".repeat(9_997)));
    await vi.waitFor(
      async () => {
        const url = `http://127.0.0.1:${port}/api/v1/taking`;
        const headers = { "content-type": "application/json" };
        expect((await fetch(url, { method: "POST", headers, body })).status).toBe(204);
      },
      { timeout: 20_000 },
    );
  });
});
