import type { InjectOptions } from "fastify";
import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { feature } from "../../feature/feature.ts";
import { pageOf, pageQuery } from "../../feature/page.ts";
import { defineError } from "../../lib/errors.ts";
import { Json } from "../../lib/json.ts";
import { callerFor, echo, testServer } from "./test-server.ts";

const Item = Type.Object({ id: Type.String() });
const itemLocked = defineError("item_locked", 423, "Somebody is editing the item");
const itemMissing = defineError("item_missing", 404, "There is no such item");
const wrong = (answer: unknown) => answer as { id: string }; // its type is wrong

const items = feature("items", {
  permissions: { "items:read": "See items", "items:write": "Change items" },
  routes: (r) => [
    r.get(
      "/items",
      { permission: "items:read", summary: "Items", query: pageQuery(), response: pageOf(Item) },
      ({ page }) => ({ items: [], next_cursor: page.cursor.encode([page.limit, ...page.after]) }),
    ),
    r.get(
      "/items/:id",
      {
        permission: "items:read",
        summary: "One item",
        params: Type.Object({ id: Type.String({ maxLength: 40 }) }),
        response: Item,
      },
      ({ params, log, header }) => {
        switch (params.id) {
          case "missing":
            throw itemMissing({ detail: "It was never there", headers: { "x-hint": "none" } });
          case "undeclared":
            throw itemLocked();
          case "broken":
            throw new Error("select secret from vault failed at /srv/code.ts:1");
          case "sql":
            throw Object.assign(new Error("division by zero"), {
              severity: "ERROR",
              code: "22012",
            });
          case "late":
            return Promise.reject(new Error("secret"));
          case "nothing":
            return wrong(undefined);
          case "json":
            return Promise.resolve(wrong(new Json('{"id": "as it is"}')));
          case "more":
            return Promise.resolve(wrong(new Json('{"id": "a", "more": 1}')));
          case "less":
            return wrong(new Json("{}"));
          case "no-json":
            return wrong(new Json("{id}"));
          case "other-type":
            return wrong({ compile: () => ({}), execute: async () => new Json('{"id":7}') });
          case "typed":
            header("content-type", "text/html; charset=utf-8");
            return wrong("<p>");
          case "query":
            return wrong({ compile: () => ({}), execute: async () => ({ id: "from a query" }) });
          case "logged":
            log.info("a line of the handler");
            return { id: "logged" };
        }
        return { id: params.id, password_hash: "secret" };
      },
    ),
    r.put(
      "/items/:id",
      {
        permission: "items:write",
        audit: { none: "a test" },
        summary: "Puts an item",
        params: Item,
        response: { 200: Item, 201: Item },
      },
      ({ params, status }) => {
        if (params.id === "new") status(201);
        // @ts-expect-error the route declares no such status
        if (params.id === "odd") status(202);
        return { id: params.id };
      },
    ),
    r.delete(
      "/items/:id",
      {
        permission: "items:write",
        audit: { none: "a test" },
        summary: "Deletes",
        params: Item,
        response: { 204: null },
      },
      () => undefined,
    ),
  ],
});

const json = { "content-type": "application/json" };

const asText =
  "PostgreSQL writes bigint and numeric as JSON numbers: select them as text (sql<string>`total::text`)";
describe("a response", () => {
  it("contains exactly the members of its schema", async () => {
    const answer = await testServer([items]).app.inject("/api/v1/items/7");
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe('{"id":"7"}');
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
  });

  it.each([
    ["json", '{"id": "as it is"}'],
    ["query", '{"id":"from a query"}'],
  ])("may be built by the database: %s", async (id, body) => {
    const answer = await testServer([items]).app.inject(`/api/v1/items/${id}`);
    expect([answer.statusCode, answer.body]).toEqual([200, body]);
  });

  it.each([
    ["more", "with /more: is not known"],
    ["less", "with /id: is required"],
    ["other-type", `with /id: must be string; ${asText}`],
    ["no-json", "with text that is not JSON"],
    ["typed", "with content type text/html, which it does not declare"],
  ])(
    "that does not match its schema (%s) is a 500 with the reason, except in production",
    async (id, fault) => {
      const { app, lines } = testServer([items]);
      const answer = await app.inject(`/api/v1/items/${id}`);
      const detail = `GET /api/v1/items/:id answered 200 ${fault}`;
      expect([answer.statusCode, answer.json()]).toEqual([
        500,
        expect.objectContaining({ code: "internal_error", detail }),
      ]);
      expect(lines).toContainEqual(
        expect.objectContaining({ level: 50, err: expect.objectContaining({ message: detail }) }),
      );
      const production = testServer([items], { production: true });
      expect((await production.app.inject(`/api/v1/items/${id}`)).statusCode).toBe(200);
    },
  );

  it("with an undeclared error status is a 500, except in production", async () => {
    const { app, lines } = testServer([items]);
    const answer = await app.inject("/api/v1/items/undeclared");
    const detail = "GET /api/v1/items/:id answered 423, a status that it does not declare";
    expect([answer.statusCode, answer.json()]).toEqual([
      500,
      expect.objectContaining({ code: "internal_error", detail }),
    ]);
    const message = expect.stringMatching(/answered 423.*Somebody is editing the item/s);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 50, err: expect.objectContaining({ message }) }),
    );
    const production = testServer([items], { production: true });
    expect((await production.app.inject("/api/v1/items/undeclared")).statusCode).toBe(423);
  });

  it("has the declared status, or one chosen among the declared", async () => {
    const { app } = testServer([items]);
    const status = async (method: "PUT" | "DELETE", id: string) =>
      (await app.inject({ method, url: `/api/v1/items/${id}` })).statusCode;
    expect(await status("DELETE", "1")).toBe(204);
    expect(await status("PUT", "old")).toBe(200);
    expect(await status("PUT", "new")).toBe(201);
    expect(await status("PUT", "odd")).toBe(500);
  });

  it("is not cached, sniffed or framed", async () => {
    const { headers } = await testServer([items]).app.inject("/api/v1/items/7");
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    });
    expect(headers).not.toHaveProperty("strict-transport-security");
  });

  it("to HEAD has the headers of the GET, and no body", async () => {
    const { app } = testServer([items]);
    const head = await app.inject({ method: "HEAD", url: "/api/v1/items/7" });
    expect([head.statusCode, head.body]).toEqual([200, ""]);
    expect(head.headers["content-length"]).toBe("10");
  });

  it("has HSTS in production over https", async () => {
    const options = { production: true, baseUrl: () => "https://api.example.com" };
    const { headers } = await testServer([items], options).app.inject("/api/v1/nowhere");
    expect(headers["strict-transport-security"]).toContain("max-age=");
  });
});

describe("a proxy", () => {
  const where = feature("where", {
    routes: (r) => [
      r.get(
        "/where",
        { permission: "public", summary: "Where", response: Type.Unknown() },
        ({ request: { ip, host, baseUrl } }) => ({ ip, host, baseUrl }),
      ),
    ],
  });
  const seen = async (trustProxy: string[], remoteAddress: string) => {
    const headers = { host: "a", "x-forwarded-host": "evil", "x-forwarded-for": "1.2.3.4" };
    const { app } = testServer([where], { trustProxy });
    return (await app.inject({ url: "/api/v1/where", headers, remoteAddress })).json();
  };
  const baseUrl = "http://localhost:8000";

  it("is trusted only by its address", async () => {
    expect(await seen([], "10.0.0.1")).toEqual({ ip: "10.0.0.1", host: "a", baseUrl });
    expect(await seen(["10.1.0.0/16"], "10.0.0.1")).toEqual({ ip: "10.0.0.1", host: "a", baseUrl });
    expect(await seen(["10.0.0.0/16"], "10.0.0.1")).toEqual({
      ip: "1.2.3.4",
      host: "evil",
      baseUrl,
    });
  });
});

describe("a request id", () => {
  it("is new and unguessable, or a trusted proxy's if well-formed", async () => {
    const { app } = testServer([items], { trustProxy: ["192.0.2.1"] });
    const id = async (given?: string, remoteAddress = "192.0.2.1") => {
      const headers = given === undefined ? {} : { "x-request-id": given };
      const answer = await app.inject({ url: "/api/v1/items/7", headers, remoteAddress });
      return answer.headers["x-request-id"];
    };
    expect(await id()).toMatch(/^[0-9a-f-]{36}$/);
    expect(await id()).not.toBe(await id());
    expect(await id("proxy-1.A_b")).toBe("proxy-1.A_b");
    expect(await id("proxy-1.A_b", "192.0.2.2")).toMatch(/^[0-9a-f-]{36}$/);
    for (const bad of ["a b", "a\tb", "a\u001b[31m", 'a"', "x".repeat(65), ""]) {
      expect(await id(bad)).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe("an error", () => {
  it.each<[number, string, string | InjectOptions]>([
    [404, "item_missing", "/api/v1/items/missing"],
    [404, "not_found", "/nowhere"],
    [404, "not_found", { method: "POST", url: "/" }],
    [405, "method_not_allowed", { method: "POST", url: "/api/v1/items" }],
    [405, "method_not_allowed", { method: "OPTIONS", url: "/api/v1/items/1" }],
    [405, "method_not_allowed", { method: "DELETE", url: "/redoc" }],
    [500, "internal_error", "/api/v1/items/broken"],
    [500, "internal_error", "/api/v1/items/late"],
    [500, "internal_error", "/api/v1/items/nothing"],
    [400, "bad_request", "/api/v1/items/%ff"],
    [400, "bad_request", "/api/v1/items/a%00b"],
    [400, "bad_request", "/api/v1/items?cursor=%00"],
    [414, "uri_too_long", `/api/v1/items?${"a[]=&".repeat(10_000)}`],
    [414, "uri_too_long", `/api/v1/items/${"a".repeat(600)}`],
    [400, "validation_failed", `/api/v1/items?${"a[]=&".repeat(1_500)}`],
    [400, "validation_failed", `/api/v1/items/${"a".repeat(41)}`],
    [400, "validation_failed", "/api/v1/items?unknown=1"],
    [400, "validation_failed", "/api/v1/items/1?unknown=1"],
    [400, "validation_failed", "/api/v1/items?limit=1e9"],
    [400, "validation_failed", "/api/v1/items?limit=201"],
    [400, "validation_failed", "/api/v1/items?limit=0"],
    [400, "validation_failed", "/api/v1/items?limit=1.5"],
    [400, "validation_failed", "/api/v1/items?limit=10&limit=20"],
    [400, "validation_failed", "/api/v1/items?__proto__=1"],
    [400, "invalid_cursor", "/api/v1/items?cursor=abc"],
  ])("is %s %s in the documented shape", async (status, code, request) => {
    const answer = await testServer([items], { production: true }).app.inject(request);
    const problem = answer.json();
    expect([answer.statusCode, problem.code]).toEqual([status, code]);
    expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(problem).toMatchObject({
      type: `urn:insulae:problem:${code}`,
      title: expect.any(String),
      status,
      request_id: answer.headers["x-request-id"],
    });
    const fields = ["type", "title", "status", "detail", "code", "request_id", "errors"];
    expect(fields).toEqual(expect.arrayContaining(Object.keys(problem)));
    expect(answer.body).not.toMatch(/secret|select|\.ts|node_modules|FST_/);
  });

  it("that is unexpected goes to the log, with the request's id", async () => {
    const { app, lines } = testServer([items]);
    const answer = await app.inject("/api/v1/items/broken");
    expect(lines).toContainEqual(
      expect.objectContaining({
        request_id: answer.headers["x-request-id"],
        tenant_id: "tenant-a",
        err: expect.objectContaining({ message: expect.stringContaining("secret") }),
      }),
    );
  });

  it("of the database goes to the log only", async () => {
    const { app, lines } = testServer([items], { production: true });
    const answer = await app.inject("/api/v1/items/sql");
    expect([answer.statusCode, answer.json().code]).toEqual([500, "internal_error"]);
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: "Database error",
        level: 50,
        err: expect.objectContaining({ message: "division by zero" }),
      }),
    );
    expect(answer.body).not.toContain("zero");
  });

  it("can have a detail and headers of its own", async () => {
    const answer = await testServer([items]).app.inject("/api/v1/items/missing");
    expect(answer.json().detail).toBe("It was never there");
    expect(answer.headers["x-hint"]).toBe("none");
  });

  it("lists the methods that an address supports", async () => {
    const { app } = testServer([items]);
    const allow = async (url: string) =>
      (await app.inject({ method: "PATCH", url, headers: json, payload: "{}" })).headers.allow;
    expect(await allow("/api/v1/items/1")).toBe("GET, HEAD, PUT, DELETE");
    expect(await allow("/health")).toBe("GET, HEAD");
  });

  it("of the resolver is sent before the body is read", async () => {
    const refused = defineError("refused", 401, "Refused");
    for (const identify of [
      () => {
        throw refused();
      },
      () => Promise.reject(refused()),
    ]) {
      const { app } = testServer([echo], { identify });
      const request = { method: "POST", url: "/api/v1/echo", headers: json, payload: "{" } as const;
      expect((await app.inject(request)).json().code).toBe("refused");
    }
  });

  it("results if a tenant's route was resolved without a tenant", async () => {
    const { app } = testServer([items], { identify: () => callerFor(undefined) });
    expect((await app.inject("/api/v1/items/7")).statusCode).toBe(500);
  });
});

describe("a body", () => {
  it("is refused by a route that accepts none, except an empty object", async () => {
    const { app } = testServer([items]);
    const put = async (payload: string) =>
      (await app.inject({ method: "PUT", url: "/api/v1/items/1", headers: json, payload }))
        .statusCode;
    expect(await put("{}")).toBe(200);
    expect(await put("")).toBe(200);
    expect(await put('{"tenant_id":"b"}')).toBe(400);
  });
});

describe("the log", () => {
  it("has a line per request, without query or headers", async () => {
    const { app, lines } = testServer([items]);
    const headers = { authorization: "Bearer planted", "user-agent": "a\r\nb" };
    const answer = await app.inject({ url: "/api/v1/items?limit=7", headers });
    await expect
      .poll(() => lines)
      .toContainEqual(
        expect.objectContaining({
          msg: "request",
          request_id: answer.headers["x-request-id"],
          tenant_id: "tenant-a",
          method: "GET",
          route: "/api/v1/items",
          status: 200,
          duration_ms: expect.any(Number),
        }),
      );
    expect(JSON.stringify(lines)).not.toMatch(/planted|limit|a\\r/);
  });

  it("has the tenant and the request in a handler's line", async () => {
    const { app, lines } = testServer([items]);
    const answer = await app.inject("/api/v1/items/logged");
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: "a line of the handler",
        request_id: answer.headers["x-request-id"],
        tenant_id: "tenant-a",
      }),
    );
  });
});
