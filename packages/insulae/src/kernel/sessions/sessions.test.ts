import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type App, feature, type Tenant, Type } from "../../index.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/test-app.ts";
import { describeWithRedis, startTestRedis, type TestRedis } from "../../testing/test-redis.ts";

const Body = Type.Object({ key: Type.String(), value: Type.Optional(Type.Unknown()) });
const Answer = Type.Object({
  id: Type.Optional(Type.String()),
  value: Type.Optional(Type.Unknown()),
});

/** Handlers that wait for each other, so that requests overlap. */
let together: Promise<void> | undefined;

const carts = feature("carts", {
  permissions: { "carts:write": "Fill carts" },
  routes: (r) => {
    const audit = { none: "a test" };
    const options = { permission: "public", summary: "A test", response: Answer } as const;
    return [
      r.post("/get", { ...options, audit, body: Body }, async ({ session, body }) => ({
        id: session.id,
        value: await session.get(body.key),
      })),
      r.post("/set", { ...options, audit, body: Body }, async ({ session, body }) => {
        await session.get("anything");
        session.set(body.key, body.value);
        await together;
        return { id: session.id, value: await session.get(body.key) };
      }),
      // Nothing is awaited, and nothing promised.
      r.post("/set-now", { ...options, audit, body: Body }, ({ session, body }) => {
        session.set(body.key, body.value);
        return {};
      }),
      r.post("/clear", { ...options, audit }, ({ session }) => {
        session.clear();
        return {};
      }),
      r.post("/destroy", { ...options, audit }, async ({ session }) => {
        await session.destroy();
        return {};
      }),
      r.post("/regenerate", { ...options, audit }, async ({ session }) => {
        await session.regenerate();
        return { value: await session.get("a") };
      }),
      r.post("/fail", { ...options, audit, body: Body }, ({ session, body }) => {
        session.set(body.key, body.value);
        throw new Error("it went wrong");
      }),
      r.post("/idle", { ...options, audit }, () => ({})),
    ];
  },
});

const suite = (open: () => App) => {
  let one: TestMember;
  let two: TestMember;
  beforeAll(async () => {
    one = await createMember(open(), "pool");
    two = await createMember(open(), "database");
  });

  const call = async (who: Record<string, string>, path: string, body?: object) => {
    const reply = await open().inject({
      method: "POST",
      url: `/api/v1${path}`,
      headers: who,
      ...(body && { payload: body }),
    });
    const set = reply.headers["set-cookie"];
    return {
      status: reply.statusCode,
      body: reply.json(),
      cookie: set === undefined ? undefined : String(set).split(";")[0],
      setCookie: set,
    };
  };
  const user = ({ token }: TestMember) => ({ authorization: `Bearer ${token}` });
  const visitor = (tenant: Tenant, cookie = "") => ({ "x-tenant": tenant.key, cookie });
  const get = async (who: Record<string, string>, key: string) =>
    (await call(who, "/get", { key })).body.value;

  it("keeps what a handler sets, for the one who called", async () => {
    const colleague = await addMember(open(), one.tenant);
    await call(user(one), "/set", { key: "cart", value: { items: [1, "två"] } });
    expect(await get(user(one), "cart")).toEqual({ items: [1, "två"] });
    expect(await get(user(colleague), "cart")).toBeUndefined();
    expect(await get(user(two), "cart")).toBeUndefined();
    await call(user(one), "/set-now", { key: "cart", value: 2 });
    expect(await get(user(one), "cart")).toBe(2);
  });

  it("begins for a visitor with the first thing that is set, and asks nothing before", async () => {
    expect((await call(visitor(one.tenant), "/get", { key: "a" })).setCookie).toBeUndefined();
    expect((await call(visitor(one.tenant), "/idle")).setCookie).toBeUndefined();
    const first = await call(visitor(one.tenant), "/set", { key: "a", value: 1 });
    expect(String(first.setCookie)).toMatch(
      /^__Host-insulae-visitor=[\w-]{43}; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/,
    );
    const again = await call(visitor(one.tenant, first.cookie), "/set", { key: "b", value: 2 });
    expect(again.setCookie).toBeUndefined();
    expect(await get(visitor(one.tenant, first.cookie), "a")).toBe(1);
    expect(await get(visitor(one.tenant, first.cookie), "b")).toBe(2);
  });

  it("of one tenant is nothing in another, nor by its id", async () => {
    const { cookie } = await call(visitor(one.tenant), "/set", { key: "a", value: 1 });
    expect(await get(visitor(two.tenant, cookie), "a")).toBeUndefined();
    const { id } = (await call(visitor(one.tenant, cookie), "/get", { key: "a" })).body;
    const valueIn = (tenant: Tenant) =>
      open().withTenant(tenant, ({ session }) => session(id).get("a"));
    expect([await valueIn(one.tenant), await valueIn(two.tenant)]).toEqual([1, undefined]);
  });

  it("is loaded, changed, saved and destroyed by its id outside requests", async () => {
    const id = `job.${randomUUID()}`;
    await open().withTenant(one.tenant, async ({ session }) => {
      const opened = session(id);
      opened.set("a", 1);
      opened.set("b", 2);
      opened.delete("b");
      await opened.save();
      expect(await session(id).get("a")).toBe(1);
      expect(await session(id).get("b")).toBeUndefined();
      await session(id).destroy();
      expect(await session(id).get("a")).toBeUndefined();
    });
  });

  it("that was planted is not taken up", async () => {
    const planted = `__Host-insulae-visitor=${"x".repeat(43)}`;
    const reply = await call(visitor(one.tenant, planted), "/set", { key: "a", value: 1 });
    expect(reply.cookie).toBeDefined();
    expect(reply.cookie).not.toBe(planted);
    expect(await get(visitor(one.tenant, planted), "a")).toBeUndefined();
  });

  it("gets a new id and keeps its data, and the old id leads nowhere", async () => {
    const { cookie } = await call(visitor(one.tenant), "/set", { key: "a", value: 1 });
    const renewed = await call(visitor(one.tenant, cookie), "/regenerate");
    expect(renewed.body.value).toBe(1);
    expect(renewed.cookie).not.toBe(cookie);
    expect(await get(visitor(one.tenant, renewed.cookie), "a")).toBe(1);
    expect(await get(visitor(one.tenant, cookie), "a")).toBeUndefined();
  });

  it("is cleared, and destroyed", async () => {
    await call(user(one), "/set", { key: "a", value: 1 });
    await call(user(one), "/clear");
    expect(await get(user(one), "a")).toBeUndefined();
    await call(user(one), "/set", { key: "a", value: 1 });
    await call(user(one), "/destroy");
    expect(await get(user(one), "a")).toBeUndefined();
  });

  it("is not saved if the handler fails", async () => {
    expect((await call(user(one), "/fail", { key: "failed", value: 1 })).status).toBe(500);
    expect(await get(user(one), "failed")).toBeUndefined();
  });

  it("loses no key to another request of the same session", async () => {
    await call(user(one), "/clear");
    const all = Promise.withResolvers<void>();
    together = all.promise;
    const sets = Array.from({ length: 8 }, (_, i) =>
      call(user(one), "/set", { key: `k${i}`, value: i }),
    );
    all.resolve();
    expect((await Promise.all(sets)).map(({ status }) => status)).toEqual(sets.map(() => 200));
    together = undefined;
    for (let i = 0; i < 8; i += 1) expect(await get(user(one), `k${i}`)).toBe(i);
  });

  it("holds 64 KB, and no more", async () => {
    const tooMuch = { key: "a", value: "x".repeat(65_536) };
    // The bound of a text in a body is smaller than that of a session.
    const reply = await open().withTenant(one.tenant, async ({ session }) => {
      const opened = session("job.large");
      opened.set(tooMuch.key, tooMuch.value);
      return opened.save().catch((error: { code: string }) => error.code);
    });
    expect(reply).toBe("session_too_large");
  });

  it("takes `__proto__` for a key like any other", async () => {
    await open().withTenant(one.tenant, async ({ session }) => {
      const opened = session("job.proto");
      opened.set("__proto__", { polluted: true });
      await opened.save();
      expect(await session("job.proto").get("polluted")).toBeUndefined();
      expect(await session("job.proto").get("toString")).toBeUndefined();
      expect(await session("job.proto").get("__proto__")).toEqual({ polluted: true });
    });
  });
};

describe("a session, in PostgreSQL,", () => {
  let app: App;
  beforeAll(async () => {
    app = await createTestApp({ features: [carts] });
  });
  afterAll(() => app.close());
  suite(() => app);

  it("is encrypted, and good for its own place only", async () => {
    const member = await createMember(app);
    await app.withTenant(member.tenant, async ({ session, db }) => {
      const opened = session("job.one");
      opened.set("secret", "do not read me");
      await opened.save();
      const [row] = await db.query<{ sealed: string }>("select sealed from session_data");
      expect(row?.sealed).not.toContain("read me");
      await db.query(
        "insert into session_data (id, revision, sealed, expires_at) select 'job.two', revision, sealed, expires_at from session_data",
      );
      expect(await session("job.two").get("secret")).toBeUndefined();
      expect(await session("job.one").get("secret")).toBe("do not read me");
    });
  });

  it("ends after its time, and goes when another one begins", async () => {
    const member = await createMember(app);
    await app.withTenant(member.tenant, async ({ session, db }) => {
      const begin = async (id: string) => {
        const opened = session(id);
        opened.set("a", 1);
        await opened.save();
      };
      await begin("job.old");
      await db.query("update session_data set expires_at = now() - interval '1 second'");
      expect(await session("job.old").get("a")).toBeUndefined();
      await begin("job.new");
      const rows = await db.query<{ id: string }>("select id from session_data");
      expect(rows).toEqual([{ id: "job.new" }]);
    });
  });
});

describeWithRedis("a session, in Redis,", () => {
  let app: App;
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
    app = await createTestApp({ features: [carts], config: { redisUrl: redis.url } });
  });
  afterAll(async () => {
    await app.close();
    await redis.stop();
  });
  suite(() => app);

  it("is encrypted, lasts a day, and has its tenant's key", async () => {
    const member = await createMember(app);
    await app.withTenant(member.tenant, async ({ session, db }) => {
      const opened = session("job.one");
      opened.set("secret", "do not read me");
      await opened.save();
      const key = `insulae:${member.tenant.id}:session:job.one`;
      expect(String(await redis.command("GET", key))).not.toContain("read me");
      expect(Number(await redis.command("TTL", key))).toBeGreaterThan(86_000);
      expect(await db.query("select id from session_data")).toEqual([]);
    });
  });

  it("begins anew in PostgreSQL while Redis is away, and nobody gets an error", async () => {
    const member = await createMember(app);
    const headers = { authorization: `Bearer ${member.token}` };
    const call = (path: string, payload: object) =>
      app.inject({ method: "POST", url: `/api/v1${path}`, headers, payload });
    await call("/set", { key: "before", value: 1 });
    await redis.kill();
    for (let i = 0; i < 3; i += 1) {
      const reply = await call("/set", { key: `during${i}`, value: 2 });
      expect(reply.statusCode).toBe(200);
    }
    expect((await call("/get", { key: "during0" })).json().value).toBe(2);
    expect((await call("/get", { key: "before" })).json().value).toBeUndefined();
    // It comes back empty, and the session moves to it with its next change.
    await redis.restart();
    await vi.waitFor(
      async () => {
        await call("/set", { key: "after", value: 3 });
        expect(await redis.command("DBSIZE")).toBeGreaterThan(0);
      },
      { timeout: 20_000 },
    );
    expect((await call("/get", { key: "during0" })).json().value).toBe(2);
    expect((await call("/get", { key: "after" })).json().value).toBe(3);
  });
});
