import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Type } from "typebox";
import { afterEach, describe, expect, it, vi } from "vitest";
import { feature } from "../feature.ts";
import { bytesBody } from "./stream-body.ts";
import { resolvedFor, testServer, testTenant } from "./test-server.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** An import that reads its body and waits, and an export without an end. */
function work() {
  const waiting: (() => void)[] = [];
  const count = { begun: 0, ended: 0 };
  const routes = feature("work", {
    routes: (r) => [
      r.post(
        "/import",
        {
          permission: "public",
          audit: { none: "a test" },
          summary: "Reads",
          body: bytesBody({ maxBytes: 1_000_000 }),
          response: { 204: null },
          atATime: "imports",
        },
        async ({ body }) => {
          count.begun += 1;
          try {
            for await (const _chunk of body.bytes);
          } catch (error) {
            count.ended += 1;
            throw error;
          }
          await new Promise<void>((end) => waiting.push(end));
        },
      ),
      r.get(
        "/export",
        {
          permission: "public",
          summary: "Writes",
          response: Type.String({ contentMediaType: "text/csv" }),
          atATime: "exports",
        },
        async ({ header }) => {
          header("content-type", "text/csv");
          return (async function* () {
            count.begun += 1;
            try {
              for (;;) yield "x".repeat(100_000);
            } finally {
              count.ended += 1;
            }
          })();
        },
      ),
    ],
  });
  const { app } = testServer([routes], {
    resolve: ({ headers }) => resolvedFor(testTenant(String(headers["x-tenant"]))),
  });
  const importFor = (tenant: string) =>
    app.inject({ method: "POST", url: "/api/v1/import", headers: { "x-tenant": tenant } });
  return {
    app,
    count,
    importFor,
    endAll: () => waiting.splice(0).map((end) => end()),
    waiting,
  };
}

describe("a route of which only so many run at a time", () => {
  it("refuses a tenant's second import, and what is too much for the process, by name", async () => {
    const { importFor, count, endAll, waiting } = work();
    const tenants = ["a", "b", "c", "d"];
    const running = tenants.map(importFor);
    await vi.waitFor(() => expect(waiting).toHaveLength(4));
    const own = await importFor("a");
    expect([own.statusCode, own.headers["retry-after"], own.json()]).toMatchObject([
      503,
      "5",
      { code: "busy", detail: "The limit on imports is 4 at a time for this process." },
    ]);
    endAll();
    for (const { statusCode } of await Promise.all(running)) expect(statusCode).toBe(204);
    const again = importFor("a");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    const second = await importFor("a");
    expect([second.statusCode, second.headers["retry-after"], second.json()]).toMatchObject([
      429,
      "5",
      { code: "too_many_at_once", detail: "The limit on imports is 1 at a time for a tenant." },
    ]);
    expect(count.begun).toBe(5);
    endAll();
    await again;
  });

  it("refuses before the body is read", async () => {
    const { app, importFor, endAll, waiting } = work();
    const running = importFor("a");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    socket.write(
      "POST /api/v1/import HTTP/1.1\r\nhost: x\r\nx-tenant: a\r\ncontent-length: 900000\r\n\r\n",
    );
    const [answer] = await once(socket, "data");
    expect(String(answer)).toMatch(/^HTTP\/1\.1 429 [\s\S]*connection: close/i);
    socket.destroy();
    endAll();
    await running;
  });

  it("has its place again when the client has gone, or is too slow with its body", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { app, importFor, count, endAll, waiting } = work();
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    for (const leave of ["goes", "stalls"]) {
      const before = count.begun;
      const socket = connect(port, "127.0.0.1").on("error", () => undefined);
      const closed = once(socket, "close");
      socket.resume();
      socket.write(
        "POST /api/v1/import HTTP/1.1\r\nhost: x\r\nx-tenant: a\r\ncontent-length: 900000\r\n\r\nx",
      );
      await vi.waitFor(() => expect(count.begun).toBe(before + 1));
      expect((await importFor("a")).statusCode).toBe(429);
      if (leave === "goes") socket.destroy();
      else vi.advanceTimersByTime(120_000);
      await closed;
      await vi.waitFor(() => expect(count.ended).toBe(before / 2 + 1));
      await new Promise(setImmediate);
      const next = importFor("a");
      await vi.waitFor(() => expect(waiting).toHaveLength(1));
      endAll();
      expect((await next).statusCode).toBe(204);
    }
  });
});

describe("an export that nobody takes", () => {
  it("is cut off after two minutes, and its place is free", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { app, count } = work();
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    const open = async () => {
      const asked = request(new URL("/api/v1/export", address), { headers: { "x-tenant": "a" } });
      asked.on("error", () => undefined).end();
      const [reply] = await once(asked, "response");
      reply.on("error", () => undefined);
      return reply;
    };
    const stalled = await Promise.all(Array.from({ length: 8 }, open));
    expect((await open()).statusCode).toBe(429);
    expect(count).toEqual({ begun: 8, ended: 0 });
    vi.advanceTimersByTime(120_000);
    await vi.waitFor(() => expect(count.ended).toBe(8));
    const next = await open();
    expect(next.statusCode).toBe(200);
    for (const each of [...stalled, next]) each.destroy();
  });

  it("goes on as long as the client takes something", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { app, count } = work();
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    const asked = request(new URL("/api/v1/export", address), { headers: { "x-tenant": "a" } });
    asked.end();
    const [reply] = await once(asked, "response");
    for (let taken = 0, round = 0; round < 4; ) {
      const [chunk] = await once(reply, "data");
      taken += chunk.length;
      if (taken < 20_000_000) continue;
      [taken, round] = [0, round + 1];
      vi.advanceTimersByTime(100_000);
    }
    expect(count.ended).toBe(0);
    reply.destroy();
    await vi.waitFor(() => expect(count.ended).toBe(1));
  });
});
