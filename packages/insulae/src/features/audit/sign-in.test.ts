/** Every attempt to get in, and every attempt on another tenant, is in the log. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

let app: App;
let member: TestMember;
const password = "a-Fine-passphrase-7"; // the fixtures' own

beforeAll(async () => {
  app = await createTestApp();
  member = await createMember(app);
});

afterAll(() => app?.close());

const logOf = (tenant: Tenant) =>
  app.withTenant(tenant, ({ db }) => db.sql`select * from audit_log order by seq desc`);

const platformLog = () =>
  app.withPlatform("read the log", ({ control }) =>
    control.selectFrom("control.audit_log").selectAll().orderBy("at", "desc").execute(),
  );

const logIn = (body: object, tenant?: string) =>
  app.inject({
    method: "POST",
    url: "/api/v1/auth/login",
    headers: { "user-agent": "a test", ...(tenant && { "x-tenant": tenant }) },
    payload: body,
  });

const emailOf = async ({ tenant, userId }: TestMember): Promise<string> => {
  const [user] = await app.withTenant(
    tenant,
    ({ db }) => db.sql<{ email: string }>`select email from users where id = ${userId}`,
  );
  return user?.email ?? "";
};

describe("an attempt to log in to a tenant", () => {
  test("is in its log when it succeeds: who, and from where", async () => {
    const email = await emailOf(member);
    expect((await logIn({ email, password }, member.tenant.key)).statusCode).toBe(200);
    expect((await logOf(member.tenant))[0]).toMatchObject({
      action: "auth.logged_in",
      outcome: "succeeded",
      actor_kind: "user",
      actor_id: member.userId,
      actor_name: email,
      ip: "127.0.0.1",
      user_agent: "a test",
    });
  });

  test("is in its log when the password is wrong, once, without the password", async () => {
    const before = await logOf(member.tenant);
    const email = await emailOf(member);
    const reply = await logIn({ email, password: "Wr0ng-passphrase-77" }, member.tenant.key);
    expect(reply.statusCode).toBe(401);
    const after = await logOf(member.tenant);
    expect(after).toHaveLength(before.length + 1);
    expect(after[0]).toMatchObject({
      action: "auth.login_failed",
      outcome: "failed",
      actor_id: member.userId,
      detail: { reason: "invalid_password" },
    });
    expect(JSON.stringify(after[0])).not.toContain("Wr0ng");
  });

  test("is in its log for a name that nobody has, without the name", async () => {
    const typed = { username: "my-passw0rd-in-the-wrong-field", password: "oops" };
    expect((await logIn(typed, member.tenant.key)).statusCode).toBe(401);
    const [entry] = await logOf(member.tenant);
    expect(entry).toMatchObject({
      action: "auth.login_failed",
      actor_kind: "anonymous",
      actor_name: null,
      detail: { reason: "unknown_user" },
    });
    expect(JSON.stringify(entry)).not.toContain("my-passw0rd");
  });

  test("stays a 401 when the log can't be written; a success is none", async () => {
    const { tenant } = await createMember(app, "database");
    const email = `${crypto.randomUUID()}@example.com`;
    const registered = await app.inject({
      method: "POST",
      url: "/api/v1/auth/register",
      headers: { "x-tenant": tenant.key },
      payload: { email, password },
    });
    expect(registered.statusCode).toBe(201);
    const url = new URL(app.config.databaseUrl ?? "");
    url.pathname = `/${tenant.placement.database}`;
    const owner = new pg.Client({ connectionString: url.href });
    await owner.connect();
    await owner.query("revoke insert on data.audit_log from insulae_data");
    await owner.query(
      "revoke insert (action, outcome, actor_kind, actor_id, actor_name, impersonator, target_type, target_id, ip, user_agent, request_id, detail) on data.audit_log from insulae_data",
    );
    await owner.end();
    expect((await logIn({ email, password: "Wr0ng-passphrase-77" }, tenant.key)).statusCode).toBe(
      401,
    );
    expect((await logIn({ email, password }, tenant.key)).statusCode).toBe(500);
  });
});

test("an account's attempts are in the platform's log", async () => {
  const email = `${crypto.randomUUID()}@example.com`;
  await app.inject({ method: "POST", url: "/api/v1/auth/register", payload: { email, password } });
  await logIn({ email, password });
  await logIn({ email, password: "Wr0ng-passphrase-77" });
  const entries = (await platformLog()).filter(({ actor_name }) => actor_name === email);
  expect(entries.map(({ action, actor_kind }) => [action, actor_kind])).toEqual([
    ["auth.login_failed", "account"],
    ["auth.logged_in", "account"],
    ["auth.registered", "account"],
  ]);
});

test("an attempt on another tenant is in the platform's log and in both tenants' (attack 29)", async () => {
  const victim = await createMember(app);
  const reply = await app.inject({
    url: "/api/v1/contacts",
    headers: { authorization: `Bearer ${member.token}`, "x-tenant": victim.tenant.key },
  });
  expect(reply.statusCode).toBe(403);
  const refused = { action: "auth.cross_tenant_refused", outcome: "refused" };
  const target = { target_type: "tenant", target_id: victim.tenant.id };
  await expect
    .poll(async () => (await logOf(member.tenant))[0])
    .toMatchObject({
      ...refused,
      ...target,
      actor_id: member.userId,
      ip: "127.0.0.1",
    });
  await expect
    .poll(async () => (await logOf(victim.tenant))[0])
    .toMatchObject({
      ...refused,
      actor_id: member.userId,
      actor_name: null,
    });
  expect(JSON.stringify((await logOf(victim.tenant))[0])).not.toContain(member.tenant.key);
  await expect
    .poll(async () => (await platformLog()).find(({ actor_id }) => actor_id === member.userId))
    .toMatchObject({ ...refused, ...target, detail: { user_tenant: member.tenant.key } });
});

test("cross-tenant work is in the platform's log before it begins", async () => {
  await app.withPlatform("count the tenants", async ({ control }) => {
    const entries = await control
      .selectFrom("control.audit_log")
      .selectAll()
      .orderBy("at")
      .execute();
    expect(entries.at(-1)).toMatchObject({
      action: "platform.scope_entered",
      actor_kind: "system",
      detail: { reason: "count the tenants" },
    });
  });
});

test("a change of a role says from what to what, and is undone with its entry", async () => {
  const { tenant } = member;
  const owner = await addMember(app, tenant, "owner");
  const path = `/users/${member.userId}`;
  expect((await owner.call("PATCH", path, { role: "manager" })).status).toBe(200);
  expect((await logOf(tenant))[0]).toMatchObject({
    action: "user.changed",
    target_id: member.userId,
    actor_id: owner.userId,
    detail: { changed: ["role"], role: { from: "user", to: "manager" } },
  });
  const before = await logOf(tenant);
  expect((await owner.call("PATCH", `/users/${owner.userId}`, { role: "user" })).status).toBe(409);
  expect(await logOf(tenant)).toEqual(before);
});
