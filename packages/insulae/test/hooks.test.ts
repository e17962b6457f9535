/** What features do beside their routes: at start and stop, before handlers and after answers. */
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type AppScope,
  atHosts,
  createApp,
  defineError,
  feature,
  type HookedRequest,
  Type,
} from "../src/index.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp } from "../src/testing/test-app.ts";

const closed = defineError("closed", 403, "This host is closed");
const turnedAway = defineError("turned_away", 418, "Not today");

const Seen = Type.Object({ tenant: Type.String() });
const handler = vi.fn((context: object) => ({
  tenant: String(Object(context).tenant?.key ?? "none"),
}));

const routes = feature("routes", {
  permissions: { "things:read": "See things" },
  routes: (r) => [
    r.get(
      "/things/:id",
      {
        permission: "things:read",
        summary: "A thing",
        params: Type.Object({ id: Type.String() }),
        response: Seen,
      },
      handler,
    ),
    r.get(
      "/open",
      { permission: "public", context: "any", summary: "Open", response: Seen },
      handler,
    ),
    r.get(
      "/core",
      { permission: "authenticated", context: "core", summary: "Core", response: Seen },
      handler,
    ),
  ],
});

let calls: string[] = [];
let next: (context: HookedRequest<Record<never, never>>) => void | Promise<void> = () => {};

const hooked = feature("hooked", {
  onStart: async ({ tenants, withPlatform }: AppScope) => {
    calls.push("start");
    await withPlatform("a test", async () => {});
    await tenants.list({ limit: 1 });
  },
  onStop: async ({ tenants }) => {
    await tenants.list({ limit: 1 });
    calls.push("stop");
  },
  onRequest: (context) => {
    calls.push(`${context.route.method} ${context.route.path} ${context.tenant?.key ?? "-"}`);
    return next(context);
  },
  onResponse: ({ route, response, user }) => {
    calls.push(`${route.path} ${response.status} ${user ? "user" : "-"}`);
    expect(response.milliseconds).toBeGreaterThan(0);
  },
});
const second = feature("second", {
  onStart: () => void calls.push("second start"),
  onStop: () => {
    calls.push("second stop");
    throw new Error("it does not stop well");
  },
  onRequest: atHosts(["CLOSED.example"], () => {
    throw closed();
  }),
});

let app: TestApp;
let member: TestMember;

beforeAll(async () => {
  app = await createTestApp({ features: [routes, hooked, second] });
  member = await createMember(app);
});
afterAll(() => app?.close());
beforeEach(() => {
  calls = [];
  next = () => {};
  handler.mockClear();
});

const get = async (url: string, headers: Record<string, string> = {}) => {
  const reply = await app.inject({ url, headers });
  return { status: reply.statusCode, headers: reply.headers, body: reply.json() };
};

describe("a hook for requests", () => {
  test("runs before the handler and after the answer, of every feature's routes", async () => {
    const { body } = await member.call("GET", "/things/1");
    expect(body).toEqual({ tenant: member.tenant.key });
    await expect.poll(() => calls).toHaveLength(2);
    expect(calls).toEqual([
      `GET /api/v1/things/:id ${member.tenant.key}`,
      "/api/v1/things/:id 200 user",
    ]);
    calls = [];
    await get("/health");
    expect((await get("/api/v1/things/1")).status).toBe(401);
    expect(calls).toEqual([]);
  });

  test("answers in the handler's place by throwing, at once or later", async () => {
    for (const refuse of [
      () => {
        throw turnedAway({ detail: "Come tomorrow" });
      },
      async () => {
        await Promise.resolve();
        throw turnedAway({ detail: "Come tomorrow" });
      },
    ]) {
      next = refuse;
      expect(await get("/api/v1/open")).toMatchObject({
        status: 418,
        body: { code: "turned_away", detail: "Come tomorrow" },
      });
    }
    expect(handler).not.toHaveBeenCalled();
    await expect.poll(() => calls).toContain("/api/v1/open 418 -");
  });

  test("is for some hosts, and after those before it", async () => {
    for (const host of ["closed.example", "open.example"]) await app.hosts.register(host);
    next = async ({ header }) => header("x-first", "was here");
    const reply = await get("/api/v1/open", { host: "Closed.example:8080" });
    expect(reply).toMatchObject({ status: 403, body: { code: "closed" } });
    expect(reply.headers["x-first"]).toBe("was here");
    expect((await get("/api/v1/open", { host: "open.example" })).status).toBe(200);
  });

  test("has the tenant's data, and no other's, and no way to the platform", async () => {
    const other = await createMember(app, "schema");
    const seen: unknown[] = [];
    next = async (context) => {
      const { db, tenant, cache } = context;
      const users = await db?.query("select id from users");
      await cache?.set("who", tenant?.key);
      seen.push(users, Object(context).platform, Object(context).platform?.tenants);
      // Whatever a hook does to what it is given: that stays bound, and the handler has its own.
      Object.assign(context, { tenant: other.tenant, user: undefined });
      await context.cache?.set("who", "switched");
    };
    expect((await member.call("GET", "/things/1")).body).toEqual({ tenant: member.tenant.key });
    expect(seen).toEqual([[{ id: member.userId }], undefined, undefined]);
    await app.withTenant(other.tenant, async ({ cache }) =>
      expect(await cache.get("who")).toBeUndefined(),
    );

    // In the core there is no tenant, whoever asks and whichever the header names.
    const { body } = await member.call("GET", "/auth/me");
    expect(body.user.id).toBe(member.userId);
    const account = { email: "core@example.com", password: "a-Fine-passphrase-7" };
    const made = await app.inject({
      method: "POST",
      url: "/api/v1/auth/register",
      payload: account,
    });
    let core: unknown = "not asked";
    next = ({ db, tenant, user }) => {
      core = [db, tenant, user?.kind];
    };
    const headers = { authorization: `Bearer ${made.json().access_token}` };
    expect((await get("/api/v1/core", headers)).status).toBe(200);
    expect(core).toEqual([undefined, undefined, "core"]);
  });
});

describe("at start and stop", () => {
  const open = (features: Parameters<typeof createApp>[0]) =>
    createApp({ env: {}, config: { ...app.config }, log: pino({ level: "silent" }), ...features });

  test("features start in order and stop in reverse, while there is a database", async () => {
    const node = await open({ features: [routes, hooked, second] });
    await node.close();
    expect(calls).toEqual(["start", "second start", "second stop", "stop"]);
  });

  test("one that does not start keeps the app from starting, and those before it stop", async () => {
    const failing = feature("failing", {
      onStart: () => {
        throw new Error("it is not ready");
      },
      onStop: () => void calls.push("never"),
    });
    const lines: string[] = [];
    const log = pino({ level: "error" }, { write: (line) => void lines.push(line) });
    await expect(open({ log, features: [routes, hooked, failing] })).rejects.toThrow(
      "it is not ready",
    );
    expect(calls).toEqual(["start", "stop"]);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { msg: "A feature failed to start", feature: "failing" },
    ]);
  });
});
