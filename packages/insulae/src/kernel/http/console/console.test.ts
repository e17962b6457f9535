import { rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { feature, Type } from "../../../index.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createHostLookup } from "../../tenancy/host-lookup.ts";
import { createLimiter } from "../limits/limiter.ts";
import { createRequestLimits } from "../limits/request-limits.ts";
import type { HttpServerOptions } from "../server/server.ts";
import { testServer } from "../server/test-server.ts";
import { createConsoleFiles, encodingFor } from "./console-files.ts";
import { consoleFixture } from "./console-fixture.ts";
import { createConsoleHosts } from "./console-hosts.ts";

const html = "text/html,application/xhtml+xml,*/*;q=0.8";
const main = "/console/assets/main-a1b2c3d4.js";

interface Served {
  readonly path?: string;
  readonly isBuilt?: boolean;
  readonly isServedAt?: (host: string) => boolean;
  readonly server?: Partial<HttpServerOptions>;
}

function serve({
  path = "/console/",
  isBuilt = true,
  isServedAt = () => true,
  server,
}: Served = {}) {
  const { folder, build } = consoleFixture();
  if (isBuilt) build();
  const find = createConsoleFiles({ folder, path, mayChange: true });
  const { app } = testServer([], {
    console: { find, path, isServedAt, isHome: true },
    ...server,
  });
  const get = (url: string, headers: Record<string, string> = {}) =>
    app.inject({ url, headers: { host: "localhost:8000", accept: html, ...headers } });
  return { app, get, folder, build };
}

const policy = (frames: string, sockets: string) =>
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
  `font-src 'self'; connect-src 'self' ${sockets}; frame-src 'self'; manifest-src 'self'; ` +
  `base-uri 'self'; form-action 'self'; frame-ancestors ${frames}`;

const pageHeaders = {
  "content-security-policy": policy("'none'", "ws://localhost:8000"),
  "content-security-policy-report-only": "require-trusted-types-for 'script'",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
  "cache-control": "no-cache",
  "content-type": "text/html; charset=utf-8",
  vary: "accept-encoding",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

describe("a page of the console", () => {
  test.each(["/console", "/console/", "/console/sign-in", "/console/t/acme/users"])(
    "%s has its headers to the letter, also with a 304",
    async (url) => {
      const { get } = serve();
      const first = await get(url);
      expect(first.statusCode).toBe(200);
      expect(first.headers).toMatchObject(pageHeaders);
      const again = await get(url, { "if-none-match": String(first.headers.etag) });
      expect([again.statusCode, again.body]).toEqual([304, ""]);
      const { "content-type": _, ...kept } = pageHeaders;
      expect(again.headers).toMatchObject(kept);
      const weak = await get(url, { "if-none-match": `"x", W/${first.headers.etag}` });
      expect(weak.statusCode).toBe(304);
    },
  );

  test("may be framed by its own origin as a preview of sign-in, and nothing else may", async () => {
    const { get } = serve();
    const framedBy = async (url: string) =>
      /frame-ancestors (.*)$/.exec(
        String((await get(url)).headers["content-security-policy"]),
      )?.[1];
    expect(await framedBy("/console/sign-in?preview")).toBe("'self'");
    expect(await framedBy("/console/?preview")).toBe("'none'");
    expect(await framedBy("/console/sign-in")).toBe("'none'");
  });

  test("names the host of its WebSockets, in the scheme of the page, and no Host adds to the policy", async () => {
    const { get } = serve({ server: { trustProxy: ["127.0.0.1"] } });
    const headers = { host: "Console.Example.com", "x-forwarded-proto": "https" };
    const { headers: sent } = await get("/console", headers);
    expect(sent["content-security-policy"]).toBe(policy("'none'", "wss://console.example.com"));
    for (const host of ["a;b", "a b", "a,b", "a'", "a:99999"]) {
      expect([host, (await get("/console", { host })).statusCode]).toEqual([host, 400]);
    }
  });

  test.each([
    ...["sign-in", "second-factor", "register", "forgot-password", "password-reset"],
    ...["verify-email", "invitation", "login", "start", "callback"],
  ])("%s is of the program for whoever is not signed in", async (name) => {
    const { get } = serve();
    for (const url of [`/console/${name}`, `/console/${name}/?token=abc`]) {
      const { body } = await get(url);
      expect(body).toContain("<title>auth");
      expect(body).not.toContain("abc");
    }
    expect((await get(`/console/t/${name}`)).body).toContain("<title>main");
  });

  test("has its base below the path of PUBLIC_URL, in every encoding", async () => {
    const { get } = serve({ path: "/tools/insulae/console/" });
    const plain = await get("/console/p/tenants");
    expect(plain.body).toContain('<base href="/tools/insulae/console/"');
    const br = await get("/console", { "accept-encoding": "br" });
    expect(brotliDecompressSync(br.rawPayload).toString()).toBe(plain.body);
    const gzip = await get("/console", { "accept-encoding": "gzip" });
    expect(gunzipSync(gzip.rawPayload).toString()).toBe(plain.body);
    expect((await get("/")).headers.location).toBe("/tools/insulae/console/");
    const elsewhere = await serve().get("/console");
    expect(elsewhere.headers.etag).not.toBe(plain.headers.etag);
  });

  test("says that it is being built, reloads itself, and comes once it is; a new build shows", async () => {
    const { get, build, folder } = serve({ isBuilt: false });
    const waiting = await get("/console/p/tenants");
    expect([waiting.statusCode, waiting.headers["cache-control"]]).toEqual([503, "no-store"]);
    expect(waiting.body).toMatch(/http-equiv="refresh"[\s\S]*being built/);
    expect((await get(main)).statusCode).toBe(404);
    build();
    expect((await get("/console")).body).toContain("<title>main");
    build("newer");
    const later = new Date(Date.now() + 10_000);
    utimesSync(join(folder, "manifest.json"), later, later);
    expect((await get("/console")).body).toContain("<title>newer");
  });
});

describe("a file of the console", () => {
  test("whose name has its hash is kept for good; others are asked about", async () => {
    const { get } = serve();
    const asset = await get(main);
    expect(asset.headers).toMatchObject({
      "cache-control": "public, max-age=31536000, immutable",
      "content-type": "text/javascript; charset=utf-8",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      vary: "accept-encoding",
    });
    for (const url of ["/console/favicon.svg", "/console/theme.js"]) {
      const { headers } = await get(url);
      expect([url, headers["cache-control"]]).toEqual([url, "no-cache"]);
      const again = await get(url, { "if-none-match": String(headers.etag) });
      expect([url, again.statusCode]).toEqual([url, 304]);
    }
  });

  test("is sent in the smallest encoding that the client takes, each with a tag of its own", async () => {
    const { get } = serve();
    const plain = await get(main);
    const seen = new Set([plain.headers.etag]);
    for (const [accepted, encoding, read] of [
      ["gzip, deflate, br, zstd", "br", brotliDecompressSync],
      ["gzip, br;q=0", "gzip", gunzipSync],
    ] as const) {
      const { headers, rawPayload } = await get(main, { "accept-encoding": accepted });
      expect([accepted, headers["content-encoding"]]).toEqual([accepted, encoding]);
      expect(headers["content-length"]).toBe(String(rawPayload.length));
      expect(read(rawPayload).toString()).toBe(plain.body);
      seen.add(headers.etag);
    }
    expect(seen.size).toBe(3);
    expect((await get(main, { "accept-encoding": "identity" })).headers).not.toHaveProperty(
      "content-encoding",
    );
  });

  test("is none while the console is built anew, and what was loaded before is not sent either", async () => {
    const { get, folder } = serve();
    expect((await get(main)).statusCode).toBe(200);
    rmSync(folder, { recursive: true });
    for (const url of [main, "/console/assets/auth-a1b2c3d4.js", "/console/theme.js"]) {
      const { statusCode, headers } = await get(url);
      expect([url, statusCode, headers["content-type"]]).toEqual([
        ...[url, 404, "text/plain; charset=utf-8"],
      ]);
    }
  });

  test("is held in memory", async () => {
    const { get, folder } = serve();
    await get(main);
    rmSync(join(folder, "assets"), { recursive: true });
    expect((await get(main)).statusCode).toBe(200);
  });

  test.each([
    "/console/assets/gone-00000000.js",
    "/console/theme.js/",
    `${main}/`,
    "/console/manifest.json",
    `${main}.br`,
    "/console/..%2f..%2fpackage.json",
    "/console/__proto__.js",
    "/console/assets/",
    "/console/assets/gone",
  ])("%s is none: 404 as text", async (url) => {
    const { statusCode, headers, body } = await serve().get(url, { accept: "*/*" });
    expect([statusCode, headers["content-type"]]).toEqual([404, "text/plain; charset=utf-8"]);
    expect(body).not.toContain("<");
  });

  test("is not made up for what wants no page", async () => {
    const { statusCode } = await serve().get("/console/t/acme", { accept: "application/json" });
    expect(statusCode).toBe(404);
  });

  test("answers HEAD as GET without a body, and no other method", async () => {
    const { app } = serve();
    const head = await app.inject({ method: "HEAD", url: main });
    expect([head.statusCode, head.body]).toEqual([200, ""]);
    expect((await app.inject({ method: "POST", url: main })).statusCode).toBe(404);
    expect((await app.inject({ method: "POST", url: "/console" })).statusCode).toBe(405);
  });
});

test("a load of the console is one request of a stranger, whatever it consists of", async () => {
  const limits = createRequestLimits({
    limits: { global: 100, plans: {}, account: 10, anonymous: 10, credentials: 10 },
    limiter: createLimiter({ redis: undefined }),
    metrics: createMetrics(),
    findTenant: () => undefined,
  });
  const { get } = serve({ server: { limits } });
  const statuses = async (url: string, times: number) => {
    const seen: number[] = [];
    for (let each = 0; each < times; each++) seen.push((await get(url)).statusCode);
    return seen;
  };
  expect(await statuses(main, 20)).toEqual(Array(20).fill(200));
  expect(await statuses("/swagger-ui/start.js", 20)).toEqual(Array(20).fill(200));
  expect(await statuses("/console", 9)).toEqual(Array(9).fill(200));
  expect(await statuses("/console/gone-1.js", 2)).toEqual([404, 429]);
  expect(await statuses("/console", 1)).toEqual([429]);
  expect(await statuses(main, 20)).toEqual(Array(20).fill(200));
  // The installation's bucket is everybody's.
  expect((await statuses(main, 60)).at(-1)).toBe(429);
});

test.each(["/console", "/console/mine", "/Console/:page"])(
  "an application's own route %s is refused at start",
  (path) => {
    const site = feature("site", {
      routes: ({ absolute: r }) => [
        r.get(
          path,
          {
            permission: "public",
            context: "core",
            summary: "A page",
            ...(path.includes(":") && { params: Type.Object({ page: Type.String() }) }),
            response: Type.Null(),
          },
          () => null,
        ),
      ],
    });
    expect(() => testServer([site])).toThrow(/site: GET .*the web console has \/console/);
  },
);

test("an application's own route / stays; without the console there is nothing at /console", async () => {
  const { get } = serve({ isServedAt: (host) => host === "localhost:8000" });
  expect((await get("/")).headers.location).toBe("/console/");
  for (const url of ["/", "/console", main]) {
    expect([url, (await get(url, { host: "acme.localhost" })).statusCode]).toEqual([url, 404]);
  }
  const { app } = testServer([]);
  expect((await app.inject({ url: "/console", headers: { accept: html } })).statusCode).toBe(404);
});

describe("CONSOLE", () => {
  const lookup = createHostLookup({
    baseDomain: "example.com",
    platformHosts: ["api.example.com"],
  });
  const hostsOf = (mode: "on" | "platform" | "tenants" | "off") =>
    createConsoleHosts({
      mode,
      isPlatformHost: (host) => lookup(host) === undefined,
      isBelowBaseDomain: (host) => host.endsWith(".example.com"),
      hasTenant: async (host) => host === "shop.example.org",
    });
  const hosts = {
    platform: "api.example.com",
    base: "example.com",
    tenant: "acme.example.com",
    nobody: "unknown.example.com",
    custom: "shop.example.org",
    stranger: "192.0.2.1",
  };
  test.each([
    ["on", ["platform", "base", "tenant", "nobody", "custom", "stranger"]],
    ["platform", ["platform", "base"]],
    ["tenants", ["platform", "base", "tenant", "nobody", "custom"]],
    ["off", []],
  ] as const)("%s: at these kinds of hosts", async (mode, kinds) => {
    const isServedAt = hostsOf(mode);
    const served: string[] = [];
    for (const [kind, host] of Object.entries(hosts)) {
      if (await isServedAt(host)) served.push(kind);
    }
    expect(served).toEqual(kinds);
  });
});

test.each([
  [undefined, "identity"],
  ["", "identity"],
  ["*", "br"],
  ["*;q=0", "identity"],
  ["br;q=0.000, *", "gzip"],
  ["GZIP;q=0.1", "gzip"],
  ["br; q=0, gzip; q=0", "identity"],
  ["zstd", "identity"],
])("Accept-Encoding %s gets %s", (accepted, encoding) => {
  expect(encodingFor(accepted, new Set(["br", "gzip", "identity"]))).toBe(encoding);
});
