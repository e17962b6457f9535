import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { feature } from "../../feature/feature.ts";
import { mediaText } from "../../feature/fields.ts";
import type { AccountId } from "../../lib/ids.ts";
import { bytesBody } from "../body/stream-body.ts";
import { callerFor, testServer, testTenant } from "../server/test-server.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** An import that reads its body and waits, and an endless export. */
function work() {
  const waiting: (() => void)[] = [];
  const count = { begun: 0, ended: 0 };
  const received = { bytes: 0 };
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
            for await (const chunk of body.bytes) received.bytes += chunk.length;
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
          response: mediaText("text/csv"),
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
    identify: ({ headers }) => {
      const [account, tenant = account] = String(headers["x-tenant"]).split("/");
      return callerFor({
        ...testTenant(String(tenant)),
        ownerAccountId: account === tenant ? undefined : (account as AccountId),
      });
    },
  });
  const importFor = (tenant: string) =>
    app.inject({ method: "POST", url: "/api/v1/import", headers: { "x-tenant": tenant } });
  return {
    app,
    count,
    received,
    importFor,
    endAll: () => waiting.splice(0).map((end) => end()),
    waiting,
  };
}

describe("a route with a limit on concurrent requests", () => {
  it("refuses a tenant's second import, naming the limit, and queues what exceeds the process's limit", async () => {
    const { importFor, count, endAll, waiting } = work();
    const tenants = ["a", "b", "c", "d"];
    const running = tenants.map(importFor);
    await vi.waitFor(() => expect(waiting).toHaveLength(4));
    const fifth = importFor("e");
    endAll();
    for (const { statusCode } of await Promise.all(running)) expect(statusCode).toBe(204);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    endAll();
    expect((await fifth).statusCode).toBe(204);
    const again = importFor("a");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    const second = await importFor("a");
    expect([second.statusCode, second.headers["retry-after"], second.json()]).toMatchObject([
      429,
      "5",
      { code: "too_many_at_once", detail: "The limit on imports is 1 at a time for a tenant." },
    ]);
    expect(count.begun).toBe(6);
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

  it("frees its place when the client disconnects or sends its body too slowly", async () => {
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

describe("an export that the client does not read", () => {
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

  it("continues while the client reads", async () => {
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

describe("when all places are taken", () => {
  /** Fakes only intervals; sockets and everything else run in real time. */
  const seconds = (count: number) => vi.advanceTimersByTime(count * 1_000);

  async function idleImports(tenants: readonly string[]) {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const made = work();
    const { port } = new URL(await made.app.listen({ port: 0, host: "127.0.0.1" }));
    const sockets = tenants.map((tenant) => {
      const socket = connect(Number(port), "127.0.0.1").on("error", () => undefined);
      socket.write(
        `POST /api/v1/import HTTP/1.1\r\nhost: x\r\nx-tenant: ${tenant}\r\ncontent-length: 900000\r\n\r\n`,
      );
      return socket;
    });
    await vi.waitFor(() => expect(made.count.begun).toBe(tenants.length));
    return { ...made, sockets };
  }

  it("an import that sends nothing loses its place to another tenant's, and its client learns why", async () => {
    const { sockets, importFor, waiting, endAll, count } = await idleImports(["a", "b", "c", "d"]);
    const told = Promise.race(sockets.map((socket) => once(socket, "data")));
    seconds(4);
    const fifth = importFor("e");
    await new Promise(setImmediate);
    expect(count.begun).toBe(4);
    seconds(1);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    endAll();
    expect((await fifth).statusCode).toBe(204);
    expect(String((await told)[0])).toMatch(/^HTTP\/1\.1 408 [\s\S]*request_timeout/);
    await vi.waitFor(() => expect(count.ended).toBe(1));
    for (const socket of sockets) socket.destroy();
  });

  it("an import that sends a few bytes every second loses its place too, and a fast one does not", async () => {
    const { sockets, importFor, waiting, endAll, received } = await idleImports([
      "a",
      "b",
      "c",
      "d",
    ]);
    let sent = 0;
    for (let second = 0; second < 6; second += 1) {
      for (const [at, socket] of sockets.entries()) {
        const size = at === 0 ? 10 : 50_000;
        socket.write("x".repeat(size));
        sent += size;
      }
      await vi.waitFor(() => expect(received.bytes).toBe(sent));
      seconds(1);
    }
    const told = once(sockets[0] ?? expect.unreachable(), "data");
    const fifth = importFor("e");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    expect(String((await told)[0])).toMatch(/^HTTP\/1\.1 408 /);
    const sixth = importFor("f");
    await new Promise(setImmediate);
    expect(waiting).toHaveLength(1);
    endAll();
    expect((await fifth).statusCode).toBe(204);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    endAll();
    expect((await sixth).statusCode).toBe(204);
    for (const socket of sockets) socket.destroy();
  });

  /** Each sends this many bytes in each of some seconds. */
  async function slowImports(tenants: readonly string[], bytesASecond: number) {
    const made = await idleImports(tenants);
    let sent = 0;
    const send = async () => {
      for (const socket of made.sockets)
        if (!socket.destroyed) socket.write("x".repeat(bytesASecond));
      sent += tenants.length * bytesASecond;
      await vi.waitFor(() => expect(made.received.bytes).toBe(sent));
      seconds(1);
    };
    for (let second = 0; second < 7; second += 1) await send();
    return { ...made, send };
  }

  it("of four tenants of one account that send slowly, one loses its place to another account at once", async () => {
    const names = ["m/1", "m/2", "m/3", "m/4"];
    const { sockets, importFor, waiting, endAll } = await slowImports(names, 12_000);
    const other = importFor("ada/9");
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    endAll();
    expect((await other).statusCode).toBe(204);
    for (const socket of sockets) socket.destroy();
  });

  it("the required transfer rate rises while somebody waits", async () => {
    const { sockets, importFor, waiting, endAll, send } = await slowImports(
      ["a", "b", "c", "d"],
      40_000,
    );
    const other = importFor("e");
    for (const needed of [16, 32]) {
      await send();
      expect(waiting, `${needed} KiB/s`).toHaveLength(0);
    }
    seconds(1);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    endAll();
    expect((await other).statusCode).toBe(204);
    for (const socket of sockets) socket.destroy();
  });

  it("an export that the client does not read loses its place to another tenant's", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { app, count } = work();
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    const opened: IncomingMessage[] = [];
    const open = async (tenant: string) => {
      const asked = request(new URL("/api/v1/export", address), {
        headers: { "x-tenant": tenant },
      });
      asked.on("error", () => undefined).end();
      const [reply] = await once(asked, "response");
      opened.push(reply.on("error", () => undefined));
      return reply;
    };
    await Promise.all(Array.from({ length: 16 }, (_, at) => open(at % 2 === 0 ? "a" : "b")));
    const third = open("c");
    // The kernel's buffers are full by then.
    await vi.waitFor(async () => {
      seconds(1);
      const answered = await Promise.race([third, new Promise<undefined>(setImmediate)]);
      expect(answered?.statusCode).toBe(200);
    });
    await vi.waitFor(() => expect(count.ended).toBeGreaterThan(0));
    for (const reply of opened) reply.destroy();
  }, 60_000);
});
