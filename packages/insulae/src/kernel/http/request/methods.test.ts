import { type IncomingMessage, METHODS, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Type } from "typebox";
import { describe, expect, it, onTestFinished } from "vitest";
import { feature } from "../../feature/feature.ts";
import { visibleError } from "../reply/problem.ts";
import { testServer } from "../server/test-server.ts";

const item = {
  permission: "items:read",
  summary: "One item",
  params: Type.Object({ id: Type.String({ maxLength: 40 }) }),
  response: { 204: null },
} as const;
const items = feature("items", {
  permissions: { "items:read": "See items" },
  routes: (r) => [
    r.get("/items/:id", item, () => undefined),
    r.put("/items/:id", { ...item, audit: { none: "a test" } }, () => undefined),
    r.delete("/items/:id", { ...item, audit: { none: "a test" } }, () => undefined),
  ],
});

describe("a method that an address does not support", () => {
  const methods = METHODS.filter((method) => method !== "CONNECT");

  it.each(methods)(
    "%s is 405 with the supported ones, or 404 if there is nothing",
    async (method) => {
      const { app } = testServer([items]);
      const ask = (url: string) => app.inject({ method: method as "GET", url });
      const [known, unknown] = [await ask("/api/v1/items/7"), await ask("/api/v1/nothing/7")];
      expect(unknown.statusCode).toBe(404);
      if (["GET", "HEAD", "PUT", "DELETE"].includes(method)) return;
      expect([known.statusCode, known.headers.allow]).toEqual([405, "GET, HEAD, PUT, DELETE"]);
    },
  );
});

describe("a path without parameters", () => {
  const Id = Type.Object({ id: Type.String() });
  const response = { 204: null };
  const change = { permission: "public", audit: { none: "a test" }, summary: "Changes" } as const;
  const things = feature("things", {
    routes: (r) => [
      r.get("/things/export", { permission: "public", summary: "All", response }, () => undefined),
      r.get("/things/:id", { ...change, params: Id, response }, () => undefined),
      r.delete("/things/:id", { ...change, params: Id, response }, () => undefined),
      r.post("/things/:id/parts", { ...change, params: Id, response }, () => undefined),
    ],
  });

  it("answers its own methods, and not those of a sibling with a parameter", async () => {
    const { app } = testServer([things]);
    const ask = async (method: "DELETE" | "GET" | "OPTIONS" | "PATCH", url: string) => {
      const { statusCode, headers } = await app.inject({ method, url: `/api/v1/things/${url}` });
      return [statusCode, headers.allow];
    };
    expect(await ask("GET", "export")).toEqual([204, undefined]);
    expect(await ask("DELETE", "export")).toEqual([405, "GET, HEAD"]);
    expect(await ask("OPTIONS", "export")).toEqual([405, "GET, HEAD"]);
    expect(await ask("DELETE", "7")).toEqual([204, undefined]);
    expect(await ask("PATCH", "7")).toEqual([405, "GET, HEAD, DELETE"]);
  });
});

describe("a method", () => {
  const answerTo = async (port: number, method: string, path: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asked = request({ port, method, path, host: "127.0.0.1", agent: false }, resolve);
    asked.on("error", reject).end();
    // It switches protocols: what came before is the response.
    asked.on("connect", (answer: IncomingMessage) => resolve(answer));
    const answer = await promise;
    answer.resume();
    answer.socket.destroy();
    return answer;
  };

  it("that no route supports is a 4xx, whichever it is", async () => {
    const { app, lines } = testServer([items]);
    onTestFinished(() => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo; // it listens on TCP
    const answered = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "CONNECT"];
    for (const method of METHODS.filter((name) => !answered.includes(name))) {
      const { statusCode, headers } = await answerTo(port, method, "/api/v1/items/1");
      expect([method, statusCode]).toEqual([
        method,
        expect.toSatisfy((s) => [400, 404, 405].includes(s)),
      ]);
      expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
    }
    expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });

  it.each([
    [400, "bad_request"],
    [404, "not_found"],
    [413, "body_too_large"],
    [418, "bad_request"],
    [500, "internal_error"],
  ])("refused by the framework with %s is %s, whatever the error is called", (status, code) => {
    const error = Object.assign(new Error("of the framework"), {
      code: "FST_ERR_SOME_NEW_ONE",
      statusCode: status,
    });
    expect(visibleError(error, new Map())).toMatchObject({ code });
  });
});
