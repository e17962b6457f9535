import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

interface Reply {
  readonly status: number;
  // The tests read out of it what they expect.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
  readonly raw: string;
}

let app: App;
let admin: string;
let owner: string;
let stranger: string;

const call = async (
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  { token, tenant, body }: { token?: string; tenant?: string; body?: object } = {},
): Promise<Reply> => {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(tenant !== undefined && { "x-tenant": tenant }),
    },
    ...(body && { payload: body }),
  });
  const raw = reply.body;
  return { status: reply.statusCode, body: raw === "" ? undefined : JSON.parse(raw), raw };
};

const password = "a-Fine-passphrase-7";

async function newAccount(email: string): Promise<string> {
  const { status, body } = await call("POST", "/auth/register", {
    body: { email, password, first_name: "Ada" },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return body.access_token;
}

const withoutRequestId = (raw: string): string => raw.replace(/"request_id":"[^"]*"/, "");

beforeAll(async () => {
  app = await createTestApp();
  await newAccount("admin@example.com");
  await app.withPlatform("the first administrator, for the tests", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("email", "=", "admin@example.com")
      .execute(),
  );
  const login = { email: "admin@example.com", password };
  admin = (await call("POST", "/auth/login", { body: login })).body.access_token;
  owner = await newAccount("owner@example.com");
  stranger = await newAccount("stranger@example.com");
});

afterAll(() => app?.close());

describe("a tenant that an account makes", () => {
  test("belongs to the account, which is its first user and its owner", async () => {
    const made = await call("POST", "/tenants", {
      token: owner,
      body: { key: "mine", name: "Mine", isolation: "schema" },
    });
    expect(made.status, made.raw).toBe(201);
    expect(made.body).toMatchObject({
      key: "mine",
      slug: "mine",
      isolation: "schema",
      status: "active",
    });

    const login = await call("POST", "/auth/login", {
      tenant: "mine",
      body: { email: "owner@example.com", password },
    });
    expect(login.status, login.raw).toBe(200);
    const users = await call("GET", "/users", { token: login.body.access_token });
    expect(users.body.items).toMatchObject([{ email: "owner@example.com", role: "owner" }]);
  });

  test("is shown and changed by its owner, and to others is as one that does not exist", async () => {
    await call("POST", "/tenants", { token: owner, body: { key: "seen", name: "Seen" } });
    const shown = await call("GET", "/tenants/seen", { token: owner });
    expect(shown.status).toBe(200);
    const changed = await call("PUT", "/tenants/seen", { token: owner, body: { name: "Renamed" } });
    expect(changed.body.name).toBe("Renamed");

    const hidden = await call("GET", "/tenants/seen", { token: stranger });
    const absent = await call("GET", "/tenants/absent", { token: stranger });
    expect(hidden.status).toBe(404);
    expect(withoutRequestId(hidden.raw)).toBe(withoutRequestId(absent.raw));
    expect(
      (await call("PUT", "/tenants/seen", { token: stranger, body: { name: "X" } })).status,
    ).toBe(404);
  });

  test("does not get a rate of its own from its owner, nor lose the one it has", async () => {
    const made = await call("POST", "/tenants", {
      token: owner,
      body: { key: "rated", name: "R" },
    });
    const path = `/tenants/${made.body.id}`;
    const change = (token: string, settings: object) =>
      call("PATCH", path, { token, body: { settings } });
    const limits = { requests_per_minute: 5_000 };

    expect((await change(owner, { limits })).status).toBe(403);
    expect((await change(admin, { limits })).body.settings).toEqual({ limits });
    expect((await change(owner, { registration: "open" })).body.settings).toEqual({
      registration: "open",
      limits,
    });
    const shown = (await call("GET", path, { token: owner })).body.settings;
    expect((await change(owner, { ...shown, registration: "closed" })).body.settings).toEqual({
      registration: "closed",
      limits,
    });
    expect((await change(owner, { limits: {} })).status).toBe(403);
    expect((await change(admin, { limits: {} })).body.settings).toEqual({
      registration: "closed",
      limits: {},
    });
  });

  test("does not get a plan from its owner", async () => {
    await call("POST", "/tenants", { token: owner, body: { key: "frugal", name: "Frugal" } });
    const raised = await call("PATCH", "/tenants/frugal", {
      token: owner,
      body: { plan: "premium" },
    });
    expect(raised.status).toBe(403);
  });
});

describe("somebody whose credential is not an account's", () => {
  const email = "one-tenant@example.com";
  let inTenant: string;
  const make = (token: string, key: string) =>
    call("POST", "/tenants", { token, body: { key, name: "Second" } });

  beforeAll(async () => {
    await call("POST", "/tenants", {
      token: await newAccount(email),
      body: { key: "only", name: "Only" },
    });
    inTenant = (await call("POST", "/auth/login", { body: { email, password } })).body.access_token;
  });

  test("makes no tenant that would belong to nobody, and is told how to make their own", async () => {
    const refused = await make(inTenant, "second");
    expect([refused.status, refused.body.code]).toEqual([401, "wrong_context"]);
    expect(refused.body.detail).toContain("POST /api/v1/auth/switch");
    for (const [path, body] of [
      ["/tenants", { id: "second", name: "Second" }],
      ["/admin/tenants", { tenant_id: "second", hosts: ["second.example.com"] }],
    ] as const) {
      const headers = { authorization: `Bearer ${inTenant}` };
      const reply = await app.inject({ method: "POST", url: path, headers, payload: body });
      expect(reply.statusCode, reply.body).toBe(401);
    }
    expect((await make("expired-or-forged", "second")).status).toBe(401);
    expect(await app.tenants.find("second")).toBeUndefined();

    const switched = await call("POST", "/auth/switch", {
      token: inTenant,
      body: { tenant: null },
    });
    expect((await make(switched.body.access_token, "second")).body.owner_account_id).toBe(
      switched.body.user.id,
    );
  });

  test("signs in to their account with a tenant of null", async () => {
    const body = { email: "one-more@example.com", password };
    await call("POST", "/tenants", {
      token: await newAccount(body.email),
      body: { key: "single", name: "Single" },
    });
    const own = await call("POST", "/auth/login", { body: { ...body, tenant: null } });
    expect(own.body.tenant).toBeNull();
    const made = await make(own.body.access_token, "third");
    expect(made.body.owner_account_id).toBe(own.body.user.id);
    const elsewhere = { tenant: "single", body: { ...body, tenant: null } };
    expect((await call("POST", "/auth/login", elsewhere)).status).toBe(403);
  });
});

test("keys that are one in canonical form collide, and so do keys with one slug", async () => {
  expect((await call("POST", "/tenants", { body: { key: "twin_a", name: "1" } })).status).toBe(201);
  for (const key of ["twin_a", "ＴＷＩＮ_a", "twin-a"]) {
    const again = await call("POST", "/tenants", { body: { key, name: "2" } });
    expect(again.status, again.raw).toBe(409);
    expect(again.body.code).toBe("tenant_exists");
  }
});

test("of many who make one key at once, one succeeds", async () => {
  const replies = await Promise.all(
    Array.from({ length: 8 }, () => call("POST", "/tenants", { body: { key: "race", name: "R" } })),
  );
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(replies.filter(({ status }) => status === 409)).toHaveLength(7);
});

test("a creation whose owner can't be made leaves nothing, and the key is free", async () => {
  const failing = app.tenants.create({ key: "halfway", name: "H", isolation: "database" }, () =>
    Promise.reject(new Error("no owner")),
  );
  await expect(failing).rejects.toThrow("no owner");
  expect(await app.tenants.find("halfway")).toBeUndefined();
  expect((await app.tenants.create({ key: "halfway", name: "H" })).status).toBe("active");
});

describe("listing, suspending and deleting", () => {
  test.each([
    ["GET", "/tenants"],
    ["DELETE", "/tenants/race"],
    ["POST", "/tenants/race/suspend"],
    ["POST", "/tenants/race/resume"],
  ] as const)("%s %s is for platform administrators", async (method, path) => {
    expect((await call(method, path)).status).toBe(401);
    expect((await call(method, path, { token: stranger })).status).toBe(403);
  });

  test("pages through all tenants, newest first", async () => {
    const keys: string[] = [];
    for (let cursor = ""; ; ) {
      const page = await call("GET", `/tenants?limit=2&total=true${cursor}`, { token: admin });
      expect(page.status, page.raw).toBe(200);
      keys.push(...page.body.items.map((item: { key: string }) => item.key));
      if (page.body.next_cursor === null) {
        expect(page.body.total).toBe(keys.length);
        break;
      }
      cursor = `&cursor=${page.body.next_cursor}`;
    }
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toContain("twin_a");
  });

  test("a suspended tenant refuses its users at once, and resumed serves them again", async () => {
    await call("POST", "/tenants", { token: owner, body: { key: "paused", name: "P" } });
    const { body } = await call("POST", "/auth/login", {
      tenant: "paused",
      body: { email: "owner@example.com", password },
    });
    const token = body.access_token;
    expect((await call("GET", "/contacts", { token })).status).toBe(200);

    await call("POST", "/tenants/paused/suspend", { token: admin });
    const refused = await call("GET", "/contacts", { token });
    expect([refused.status, refused.body.code]).toEqual([403, "tenant_inactive"]);
    const anonymous = await call("POST", "/auth/login", {
      tenant: "paused",
      body: { email: "x@y.example", password },
    });
    const unknown = await call("POST", "/auth/login", {
      tenant: "nobody",
      body: { email: "x@y.example", password },
    });
    expect(withoutRequestId(anonymous.raw)).toBe(withoutRequestId(unknown.raw));

    await call("POST", "/tenants/paused/resume", { token: admin });
    expect((await call("GET", "/contacts", { token })).status).toBe(200);
  });

  test("one that is made again with the key of a deleted one is another tenant", async () => {
    const first = await call("POST", "/tenants", {
      token: owner,
      body: { key: "phoenix", name: "1", hosts: ["phoenix.example"] },
    });
    const login = { tenant: "phoenix", body: { email: "owner@example.com", password } };
    const { body } = await call("POST", "/auth/login", login);
    await call("POST", "/contacts", { token: body.access_token, body: { name: "Old" } });
    expect((await call("DELETE", "/tenants/phoenix", { token: admin })).status).toBe(204);
    expect((await call("GET", "/contacts", { token: body.access_token })).status).toBe(401);

    const second = await call("POST", "/tenants", {
      token: owner,
      body: { key: "phoenix", name: "2" },
    });
    expect(second.status, second.raw).toBe(201);
    expect(second.body.id).not.toBe(first.body.id);
    expect(second.body.hosts).toEqual([]);
    const heir = { key: "heir", name: "H", hosts: ["phoenix.example"] };
    expect((await call("POST", "/tenants", { token: owner, body: heir })).status).toBe(201);
    expect((await call("GET", "/contacts", { token: body.access_token })).status).toBe(401);
    const fresh = (await call("POST", "/auth/login", login)).body.access_token;
    expect((await call("GET", "/contacts", { token: fresh })).body.items).toEqual([]);
  });
});

/** As the administrator of the server sees it, whom no policy holds. */
async function usersInPool(tenantId: string): Promise<number> {
  const client = new pg.Client(app.config.databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query("select from data.users where tenant_id = $1", [tenantId]);
    return rows.length;
  } finally {
    await client.end();
  }
}

describe("what is past its grace period", () => {
  test.each(["pool", "schema", "database"] as const)("is erased from a %s", async (isolation) => {
    const tenant = await app.tenants.create({ key: `gone-${isolation}`, name: "G", isolation });
    await call("POST", "/auth/register", {
      tenant: tenant.key,
      body: { email: "u@example.com", password, first_name: "U" },
    });
    await app.tenants.delete(tenant.id);
    await app.withPlatform("let the grace period pass", ({ control }) =>
      control
        .updateTable("control.tenants")
        .set({ erase_after: new Date(0) })
        .where("id", "=", tenant.id)
        .execute(),
    );
    await app.tenants.sweep();
    const left = await app.withPlatform("see what is left", ({ control }) =>
      control
        .selectFrom("control.tenants")
        .select(["status", "placement_id"])
        .where("id", "=", tenant.id)
        .executeTakeFirstOrThrow(),
    );
    expect(left).toEqual({ status: "deleted", placement_id: null });
    const places = await app.withPlatform("see whether the place is left", ({ control }) =>
      control
        .selectFrom("control.placements")
        .select("isolation")
        .where("id", "=", tenant.placement.id)
        .execute(),
    );
    expect(places).toEqual(isolation === "pool" ? [{ isolation: "pool" }] : []);
    expect(await usersInPool(tenant.id)).toBe(0);
  });
});

describe("hosts", () => {
  test("a registered host is its tenant's, and nobody else's", async () => {
    await app.tenants.create({ key: "hosted", name: "H", hosts: ["Shop.Hosted.example"] });
    const found = await app.inject({
      method: "POST",
      url: "/api/v1/auth/register",
      headers: { host: "shop.hosted.example:8000" },
      payload: { email: "h@example.com", password, first_name: "H" },
    });
    expect(found.statusCode, found.body).toBe(201);
    expect(JSON.parse(found.body).tenant.key).toBe("hosted");
    const taken = await call("POST", "/tenants", {
      body: { key: "thief", name: "T", hosts: ["shop.hosted.example"] },
    });
    expect([taken.status, taken.body.code]).toEqual([409, "host_taken"]);
    expect((await call("GET", "/tenants/thief", { token: admin })).status).toBe(404);
  });

  test("a host below the platform's own domain can't be registered", async () => {
    const reply = await call("POST", "/tenants", {
      body: { key: "sub", name: "S", hosts: ["mine.localhost"] },
    });
    expect([reply.status, reply.body.code]).toEqual([400, "reserved_host"]);
  });
});

test("an attempt on another tenant is refused, and in the audit log", async () => {
  await app.tenants.create({ key: "victim", name: "V" });
  await call("POST", "/tenants", { token: owner, body: { key: "attacker", name: "A" } });
  const { body } = await call("POST", "/auth/login", {
    tenant: "attacker",
    body: { email: "owner@example.com", password },
  });
  const reply = await call("GET", "/contacts", { token: body.access_token, tenant: "victim" });
  expect([reply.status, reply.body.code, reply.body.title]).toEqual([
    403,
    "tenant_access_denied",
    "Tenant access denied",
  ]);
  await expect
    .poll(() =>
      app.withPlatform("read the audit log", ({ control }) =>
        control
          .selectFrom("control.audit_log")
          .select("detail")
          .where("action", "=", "auth.cross_tenant_refused")
          .execute(),
      ),
    )
    .toMatchObject([{ detail: { user_tenant: "attacker", request_tenant: "victim" } }]);
});
