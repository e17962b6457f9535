import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../../app/app.ts";
import { createMember } from "../../testing/fixtures.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";
import { type SecondServer, startSecondServer } from "../../testing/test-server.ts";

let app: TestApp;
let token: string;
let elsewhere: SecondServer;

beforeAll(async () => {
  app = await createTestApp();
  elsewhere = await startSecondServer();
  const admin = { email: "root@example.com", password: "a-Fine-passphrase-7" };
  await app.ensureAdmin(admin);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload: admin });
  token = reply.json().access_token;
});
afterAll(async () => {
  await app?.close();
  await elsewhere?.stop();
});

type Method = "GET" | "POST" | "PATCH" | "DELETE";
const call = async (
  method: Method,
  path: string,
  payload?: object,
  on: typeof app.inject = app.inject,
) => {
  const reply = await on({
    method,
    url: `/api/v1/servers${path}`,
    headers: { authorization: `Bearer ${token}` },
    ...(payload && { payload }),
  });
  return { status: reply.statusCode, body: reply.body === "" ? undefined : reply.json() };
};
const entries = (id: string) =>
  app.withPlatform("look", ({ control }) =>
    control
      .selectFrom("control.audit_log")
      .select(["action", "detail"])
      .where("target_id", "=", id)
      .orderBy("id")
      .execute(),
  );
/** The same place by another URL. */
const otherUrl = (url: string) => `${url}${url.includes("?") ? "&" : "?"}application_name=moved`;

test("a server is added, shown, changed, drained and removed, and the audit log says so", async () => {
  const added = await call("POST", "", { name: "eu", url: elsewhere.url, weight: 3 });
  expect(added).toMatchObject({
    status: 201,
    body: { name: "eu", weight: 3, accepting: true, answers: true, tenants: 0 },
  });
  expect(JSON.stringify(added.body)).not.toContain("postgres:");
  const { id } = added.body;
  expect((await call("GET", "")).body.items).toEqual([
    added.body,
    expect.objectContaining({ name: "main" }),
  ]);
  expect(await call("GET", "/eu")).toEqual({ status: 200, body: added.body });
  expect((await call("POST", "", { name: "eu", url: elsewhere.url })).body.code).toBe(
    "server_exists",
  );

  const twice = await call("POST", "", { name: "us", url: otherUrl(elsewhere.url) });
  expect(twice).toMatchObject({ status: 409, body: { code: "server_exists", server: "eu" } });
  const moved = await call("PATCH", "/eu", { url: app.config.databaseUrl });
  expect(moved).toMatchObject({ status: 409, body: { code: "server_differs" } });

  const changed = await call("PATCH", `/${id}`, { weight: 1, url: otherUrl(elsewhere.url) });
  expect(changed.body).toEqual({ ...added.body, weight: 1 });

  const tenant = await app.tenants.create({ key: "there", name: "There", server: "eu" });
  const drained = await call("POST", "/eu/drain");
  expect(drained.body).toMatchObject({
    server: { accepting: false, tenants: 1 },
    left: [{ id: tenant.id, key: "there", status: "active", isolation: "pool" }],
  });
  expect((await call("GET", "/eu/tenants?limit=1")).body).toEqual({
    items: drained.body.left,
    next_cursor: null,
  });

  // A deleted tenant's rows are there until they are erased.
  expect((await call("DELETE", "/eu")).body).toMatchObject({ code: "server_in_use", tenants: 1 });
  await app.tenants.delete(tenant.id);
  expect((await call("DELETE", "/eu")).body).toMatchObject({
    code: "server_in_use",
    deleted: 1,
    detail: expect.stringContaining("DELETED_TENANT_DAYS"),
  });
  await app.withPlatform("forget", ({ control }) =>
    control
      .updateTable("control.tenants")
      .set({ placement_id: null })
      .where("id", "=", tenant.id)
      .execute(),
  );
  expect(await call("DELETE", "/eu")).toEqual({ status: 204, body: undefined });
  expect((await call("GET", "/eu")).body.code).toBe("server_not_found");
  const found = await entries(id);
  expect(found.map(({ action }) => action)).toEqual([
    ...["server.added", "server.changed", "server.drained", "server.removed"],
  ]);
  expect(JSON.stringify(found)).not.toMatch(/password|postgres:|sealed/);
});

test("a server that is lost is forgotten with what deleted tenants had on it, and they are erased", async () => {
  const lost = await startSecondServer();
  const { id } = (await call("POST", "", { name: "lost", url: lost.url })).body;
  const make = (key: string, isolation: "pool" | "schema" | "database") =>
    app.tenants.create({ key, name: key, server: "lost", isolation });
  const half = await make("lost-half", "pool");
  const [live, ...tenants] = [
    await make("lost-live", "pool"),
    await make("lost-pool", "pool"),
    await make("lost-schema", "schema"),
    await make("lost-database", "database"),
  ];
  for (const tenant of tenants) await app.tenants.delete(tenant.id);
  // As a creation that a crash cut short.
  await app.withPlatform("cut", ({ control }) =>
    sql`update control.tenants set status = 'provisioning', created_at = to_timestamp(0)
      where id = ${half.id}`.execute(control),
  );
  await lost.stop();

  expect((await call("DELETE", "/lost")).body).toMatchObject({ code: "server_in_use", tenants: 5 });
  expect((await call("DELETE", "/lost?lost=true")).body).toMatchObject({
    ...{ code: "server_in_use", tenants: 1, deleted: 0 },
    detail: "Tenants on the server: 1. Delete them first.",
  });
  // Nothing was given up.
  expect((await call("GET", "/lost/tenants")).body.items).toHaveLength(5);
  await app.tenants.delete(live.id);
  expect((await call("DELETE", "/main?lost=true")).body.code).toBe("server_is_main");
  expect(await call("DELETE", "/lost?lost=true")).toEqual({ status: 204, body: undefined });
  expect((await call("GET", "/lost")).body.code).toBe("server_not_found");
  expect((await entries(id)).at(-1)).toMatchObject({
    action: "server.removed",
    detail: { name: "lost", lost: true, given_up: 5 },
  });

  const ids = [live, ...tenants].map((tenant) => tenant.id);
  const unerased = () =>
    app.withPlatform("look", ({ control }) =>
      control
        .selectFrom("control.tenants")
        .select("key")
        .where("id", "in", ids)
        .where("erase_after", "is not", null)
        .execute(),
    );
  expect(await unerased()).toHaveLength(4);
  await app.withPlatform("wait", ({ control }) =>
    control
      .updateTable("control.tenants")
      .set({ erase_after: new Date(0) })
      .where("id", "in", ids)
      .execute(),
  );
  await app.tenants.sweep();
  expect(await unerased()).toEqual([]);
  await expect(app.tenants.get(half.id)).rejects.toMatchObject({ code: "tenant_not_found" });
}, 60_000);

test("what can't be a server is refused, and says why", async () => {
  const add = (name: string, url: string) => call("POST", "", { name, url });
  expect(await add("gone", "postgres://a:b@127.0.0.1:1/x")).toMatchObject({
    status: 422,
    body: { code: "server_unusable", detail: expect.stringContaining("ECONNREFUSED") },
  });
  expect((await add("Gone!", elsewhere.url)).status).toBe(400);
  expect((await add(crypto.randomUUID(), elsewhere.url)).body.code).toBe("server_name_invalid");
  expect((await add("gone", "https://example.com")).status).toBe(400);
  expect((await call("PATCH", "/main", { url: elsewhere.url })).body.code).toBe("server_is_main");
  expect((await call("DELETE", "/main")).body.code).toBe("server_is_main");
  expect((await call("PATCH", "/nowhere", { weight: 2 })).body.code).toBe("server_not_found");
  expect((await call("PATCH", "/main", {})).status).toBe(400);
});

test("nobody but platform administrators sees or changes servers", async () => {
  const member = await createMember(app);
  for (const [method, path] of [
    ["GET", "/servers"],
    ["GET", "/servers/main/tenants"],
    ["POST", "/servers/main/drain"],
    ["DELETE", "/servers/main"],
  ] as const) {
    expect((await member.call(method, path)).status).toBe(403);
  }
});

test("a new URL is used by all nodes at once, and one without the tenants' databases is refused", async () => {
  const other = await createApp({ env: {}, config: { ...app.config, jobsConcurrency: 0 } });
  try {
    const { id } = (await call("POST", "", { name: "moving", url: elsewhere.url })).body;
    await app.servers.update("main", { accepting: false });
    const member = await createMember(app, "database");
    await app.servers.update("main", { accepting: true });
    const { database } = member.tenant.placement;
    const statuses = async () => {
      const request = {
        url: "/api/v1/contacts",
        headers: { authorization: `Bearer ${member.token}` },
      };
      const replies = [await app.inject(request), await other.inject(request)];
      return replies.map(({ statusCode }) => statusCode);
    };
    expect(await statuses()).toEqual([200, 200]);

    const admin = new pg.Client({ connectionString: elsewhere.url });
    await admin.connect();
    try {
      const backends = async () => {
        const { rows } = await admin.query<{ pid: number }>(
          "select pid from pg_stat_activity where datname = $1 order by pid",
          [database],
        );
        return rows.map(({ pid }) => pid);
      };
      const before = await backends();
      expect(before.length).toBeGreaterThan(1);
      await call("PATCH", "/moving", { url: otherUrl(elsewhere.url) });
      // Those to the old URL are closed on both nodes, and requests are answered on new ones.
      await expect
        .poll(async () => (await backends()).filter((pid) => before.includes(pid)))
        .toEqual([]);
      expect(await statuses()).toEqual([200, 200]);

      // As if something were placed on it that is not there.
      await app.withPlatform("place", ({ control }) =>
        control
          .insertInto("control.placements")
          .values({ server_id: id, database: "t_elsewhere", schema: "data", isolation: "database" })
          .execute(),
      );
      expect(await call("PATCH", "/moving", { url: elsewhere.url })).toMatchObject({
        status: 409,
        body: { code: "server_differs", detail: "The server lacks t_elsewhere." },
      });
    } finally {
      await admin.query(`drop database "${database}" with (force)`);
      await admin.query(`drop role "${database}"`);
      await admin.end();
    }
  } finally {
    await other.close();
  }
}, 60_000);
