import type { InjectOptions } from "fastify";
import { describe, expect, it } from "vitest";
import { authenticationRequired } from "../../identity/errors.ts";
import { echo, testServer } from "../server/test-server.ts";
import { createOrigins } from "./origins.ts";

const allowed = "https://app.example.org";

const server = (credentials = false, refuseEverybody = false) =>
  testServer([echo], {
    cors: {
      origins: createOrigins({
        platform: [allowed],
        baseUrl: () => "http://localhost:8000",
        baseDomain: "localhost",
        findTenant: () => undefined,
        findKnownTenant: () => undefined,
      }),
      credentials,
    },
    ...(refuseEverybody && {
      identify: () => {
        throw authenticationRequired();
      },
    }),
  }).app;

const post = (headers: Record<string, string>): InjectOptions => ({
  method: "POST",
  url: "/api/v1/echo",
  headers: { host: "localhost:8000", "content-type": "application/json", ...headers },
  payload: '{"text":"a"}',
});
const preflight = (origin: string, more: InjectOptions = {}): InjectOptions => ({
  method: "OPTIONS",
  url: "/api/v1/echo",
  headers: { host: "localhost:8000", origin, "access-control-request-method": "PATCH" },
  ...more,
});
const corsHeaders = (headers: Record<string, unknown>) =>
  Object.keys(headers).filter((name) => name.startsWith("access-control-"));

describe("a page of an allowed origin", () => {
  it("may read responses and the relevant headers", async () => {
    const { statusCode, headers } = await server().inject(post({ origin: allowed }));
    expect(statusCode).toBe(200);
    expect(headers["access-control-allow-origin"]).toBe(allowed);
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
    for (const name of ["x-request-id", "etag", "location", "retry-after", "x-ratelimit-limit"]) {
      expect(String(headers["access-control-expose-headers"]).split(", ")).toContain(name);
    }
    expect(headers.vary).toContain("origin");
  });

  it("may read errors, also of unknown addresses", async () => {
    const refused = await server(false, true).inject(post({ origin: allowed }));
    const missing = await server().inject({ url: "/nowhere", headers: { origin: allowed } });
    expect([refused.statusCode, missing.statusCode]).toEqual([401, 404]);
    expect(refused.headers["access-control-allow-origin"]).toBe(allowed);
    expect(missing.headers["access-control-allow-origin"]).toBe(allowed);
  });

  it("may send cookies only if configured", async () => {
    const { headers } = await server(true).inject(post({ origin: allowed }));
    expect(headers["access-control-allow-credentials"]).toBe("true");
  });

  it("has its preflights answered before authentication, and cached", async () => {
    const { statusCode, headers, body } = await server(true, true).inject(preflight(allowed));
    expect([statusCode, body]).toEqual([204, ""]);
    expect(headers["access-control-allow-origin"]).toBe(allowed);
    expect(headers["access-control-allow-methods"]).toContain("PATCH");
    expect(headers["access-control-allow-headers"]).toContain("x-csrf-token");
    expect(Number(headers["access-control-max-age"])).toBeGreaterThan(0);
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });
});

describe("a page of a foreign origin", () => {
  it.each(["null", "https://evil.example", "https://app.example.org.evil.example"])(
    "%s can neither change nor read anything",
    async (origin) => {
      const change = await server(true).inject(post({ origin }));
      expect(change.statusCode).toBe(403);
      expect(change.json().code).toBe("origin_refused");
      const asked = await server(true).inject(preflight(origin));
      expect(asked.statusCode).toBe(403);
      const read = await server(true).inject({ url: "/health", headers: { origin } });
      for (const { headers } of [change, asked, read]) expect(corsHeaders(headers)).toEqual([]);
    },
  );

  it("can't hide by omitting Origin if the browser sends fetch metadata", async () => {
    for (const site of ["cross-site", "same-site"]) {
      const { statusCode } = await server().inject(post({ "sec-fetch-site": site }));
      expect(statusCode).toBe(403);
    }
  });

  it("sends forms, which are not JSON", async () => {
    for (const type of ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]) {
      const { statusCode } = await server().inject(post({ "content-type": type }));
      expect(statusCode).toBe(415);
    }
  });
});

describe("a request without an origin", () => {
  it("is not from a page, and gets no CORS headers", async () => {
    for (const more of [{}, { "sec-fetch-site": "none" }, { "sec-fetch-site": "same-origin" }]) {
      const { statusCode, headers } = await server().inject(post(more as Record<string, string>));
      expect([statusCode, corsHeaders(headers)]).toEqual([200, []]);
    }
  });
});

describe("a page of the server's own origin", () => {
  it("needs no permission", async () => {
    const { statusCode, headers } = await server().inject(
      post({ origin: "http://localhost:8000" }),
    );
    expect([statusCode, corsHeaders(headers)]).toEqual([200, []]);
  });
});

describe("a request with a token", () => {
  it("can't be forged by a page, so its origin only decides who may read the response", async () => {
    const bearer = { authorization: "Bearer ey" };
    const foreign = await server().inject(post({ ...bearer, origin: "https://evil.example" }));
    expect([foreign.statusCode, corsHeaders(foreign.headers)]).toEqual([200, []]);
  });
});

describe("in development the log reports refused pages", () => {
  const answers = async (production: boolean) => {
    const { app, lines } = testServer([echo], { production });
    const evil = "https://evil.example";
    for (const request of [
      post({ origin: evil }),
      preflight(evil),
      preflight("https://b.example"),
    ]) {
      await app.inject(request);
    }
    await app.inject({ url: "/health", headers: { origin: "https://reads.example" } });
    await app.inject(preflight("https://reads.example"));
    return lines.filter(({ origin }) => origin !== undefined);
  };

  it("once per origin, with the setting", async () => {
    const lines = await answers(false);
    expect(lines.map(({ origin }) => origin)).toEqual([
      "https://evil.example",
      "https://b.example",
      "https://reads.example",
    ]);
    expect(lines[0]?.msg).toContain("CORS_ORIGINS");
  });

  it("never in production", async () => {
    expect(await answers(true)).toEqual([]);
  });

  it("at most a hundred times", async () => {
    const { app, lines } = testServer([echo]);
    for (let i = 0; i < 110; i++) await app.inject(preflight(`https://p${i}.example`));
    expect(lines.filter(({ origin }) => origin !== undefined)).toHaveLength(100);
  });
});

it("the guard runs before preflights", async () => {
  const { statusCode, headers } = await server().inject(
    preflight(allowed, { url: "/api/v1/echo?x=%00" }),
  );
  expect([statusCode, corsHeaders(headers)]).toEqual([400, []]);
});
