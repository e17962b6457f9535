import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { isolations } from "../model/tenant.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp({
    config: { quotas: { free: { rows: 5, users: 3 }, gold: { rows: 50 }, premium: {} } },
  });
});
afterAll(() => app?.close());

type Counters = { quota_counters: { name: string; used: string } };

/** A member of a new tenant with that plan. */
async function memberOf(plan: string, isolation: (typeof isolations)[number] = "pool") {
  const member = await createMember(app, isolation);
  await change(member, { plan });
  return member;
}

async function adminToken(): Promise<string> {
  const payload = { email: "admin@example.com", password: "a-Fine-passphrase-7" };
  await app.ensureAdmin(payload);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  return reply.json().access_token;
}

/** As platform administrators do. */
async function change({ tenant }: TestMember, changes: { plan?: string; settings?: object }) {
  const { id } = await app.tenants.get(tenant.id);
  await app.tenants.update(id, changes as { plan?: string; settings?: Record<string, unknown> });
}

const add = ({ call }: TestMember, name = "Ada") => call("POST", "/contacts", { name });

const addMany = async (member: TestMember, count: number) =>
  (await Promise.all(Array.from({ length: count }, () => add(member)))).map(({ status }) => status);

const countOf = async ({ call }: TestMember): Promise<number> =>
  (await call("GET", "/contacts?total=true")).body.total;

const counterOf = ({ tenant }: TestMember, name: string): Promise<number | undefined> =>
  app.withTenant<Counters, number | undefined>(tenant.id, async ({ db }) => {
    const row = await db
      .selectFrom("quota_counters")
      .select("used")
      .where("name", "=", name)
      .executeTakeFirst();
    return row && Number(row.used);
  });

describe.each(isolations)("rows of a tenant with isolation %s", (isolation) => {
  test("are limited by its plan, also with 20 concurrent inserts", async () => {
    const member = await memberOf("free", isolation);
    const statuses = await addMany(member, 20);
    expect(statuses.filter((status) => status === 201)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(15);
    expect(await countOf(member)).toBe(5);
    expect(await counterOf(member, "rows")).toBe(5);
  });

  test("free their place when deleted, and rolled-back ones use none", async () => {
    const member = await memberOf("free", isolation);
    await addMany(member, 5);
    const failing = app.withTenant<{ contacts: { name: string } }, void>(
      member.tenant.id,
      ({ db }) =>
        db.transaction().execute(async (tx) => {
          await tx.deleteFrom("contacts").execute();
          throw new Error("changed my mind");
        }),
    );
    await expect(failing).rejects.toThrow("changed my mind");
    expect((await add(member)).status).toBe(429);

    const { items } = (await member.call("GET", "/contacts")).body;
    expect((await member.call("DELETE", `/contacts/${items[0].id}`)).status).toBe(204);
    expect((await add(member)).status).toBe(201);
    expect((await add(member)).status).toBe(429);
  });
});

describe("a refusal", () => {
  test("names the quota, its limit and the plan, and nothing of the database", async () => {
    const member = await memberOf("free");
    await addMany(member, 5);
    const { status, body, text } = await add(member);
    expect(status).toBe(429);
    expect(body).toMatchObject({
      code: "quota_exceeded",
      detail: "The plan free allows 5 (rows). The setting is PLAN_QUOTAS.",
      quota: "rows",
      limit: 5,
      plan: "free",
    });
    expect(text).not.toMatch(/quota_counters|trigger|contacts|QX001/);
  });

  test("affects one tenant only", async () => {
    const [a, b] = [await memberOf("free"), await memberOf("free")];
    await addMany(a, 6);
    expect(await addMany(b, 5)).toEqual([201, 201, 201, 201, 201]);
  });

  test("rolls back the whole statement and transaction", async () => {
    const member = await memberOf("free");
    const insert = app.withTenant<{ contacts: { name: string } }, unknown>(
      member.tenant.id,
      ({ db }) =>
        db
          .insertInto("contacts")
          .values(Array.from({ length: 6 }, () => ({ name: "Ada" })))
          .execute(),
    );
    await expect(insert).rejects.toMatchObject({ code: "QX001" });
    expect(await countOf(member)).toBe(0);
    expect((await add(member)).status).toBe(201);
  });
});

describe("rows of different tables", () => {
  test("count together", async () => {
    const member = await memberOf("free");
    await addMany(member, 4);
    const product = { name: "Lamp", price: "1.00" };
    expect((await member.call("POST", "/products", product)).status).toBe(201);
    expect((await member.call("POST", "/products", product)).status).toBe(429);
    expect((await member.call("POST", "/documents", { title: "Notes" })).status).toBe(429);
  });
});

describe("a change of plan", () => {
  test("counts existing rows, also those added while there was no limit", async () => {
    const member = await createMember(app);
    await addMany(member, 7);
    expect(await counterOf(member, "rows")).toBeUndefined();
    await change(member, { plan: "free" });
    expect((await add(member)).status).toBe(429);
  });

  test("counts rows added while there was no limit, with an existing counter", async () => {
    const member = await memberOf("gold");
    await addMany(member, 2);
    await change(member, { plan: "premium" });
    await addMany(member, 48);
    await change(member, { plan: "gold" });
    expect((await add(member)).status).toBe(429);
    expect(await countOf(member)).toBe(50);
  });

  test("is counted at once, so that refusals don't count again", async () => {
    const member = await createMember(app);
    await addMany(member, 7);
    const headers = { authorization: `Bearer ${await adminToken()}` };
    const reply = await app.inject({
      method: "PATCH",
      url: `/api/v1/tenants/${member.tenant.id}`,
      headers,
      payload: { plan: "free" },
    });
    expect(reply.statusCode).toBe(200);
    expect(await counterOf(member, "rows")).toBe(7);
    expect((await add(member)).status).toBe(429);
  });

  test("deletes nothing: there may be more than allowed, and existing rows can be changed", async () => {
    const member = await memberOf("gold");
    await addMany(member, 10);
    await change(member, { plan: "free" });
    const [contact] = (await member.call("GET", "/contacts")).body.items;
    const path = `/contacts/${contact.id}`;
    expect((await member.call("PATCH", path, { name: "Grace" })).status).toBe(200);
    expect((await member.call("DELETE", path)).status).toBe(204);
    expect((await add(member)).status).toBe(429);
    expect(await countOf(member)).toBe(9);
  });

  test("is overridden by the tenant's own limit", async () => {
    const member = await memberOf("free");
    await change(member, { settings: { limits: { rows: 6 } } });
    expect((await addMany(member, 8)).filter((status) => status === 201)).toHaveLength(6);
    await change(member, { settings: { limits: { rows: 0 } } });
    expect((await addMany(member, 3)).every((status) => status === 201)).toBe(true);
  });
});

/** As a stranger. */
async function signUp({ tenant }: TestMember, email: string) {
  const reply = await app.inject({
    method: "POST",
    url: "/api/v1/auth/register",
    headers: { "x-tenant": tenant.key },
    payload: { email, password: "a-Fine-passphrase-7" },
  });
  return { status: reply.statusCode, body: reply.json() };
}

const mailsTo = async (email: string): Promise<string[]> => {
  const found = await app.inject(`/api/v1/dev/mails?to=${encodeURIComponent(email)}`);
  return found.json().items.map(({ template }: { template: string }) => template);
};

describe("users", () => {
  test("are limited by the plan, also with 10 concurrent registrations", async () => {
    const first = await memberOf("free");
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, i) => signUp(first, `u${i}@example.com`)),
    );
    const statuses = replies.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(2);
    expect(statuses.filter((status) => status === 429)).toHaveLength(8);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.body).toMatchObject({ code: "quota_exceeded", quota: "users", limit: 3 });
    expect(await counterOf(first, "users")).toBe(3);
  });

  test("that would be refused anyway cost no password hash", async () => {
    const hashes = async () => {
      const { body } = await app.inject("/metrics");
      return Number(/^insulae_password_hashes_total (\d+)$/m.exec(body)?.[1]);
    };
    const first = await memberOf("premium");
    const owner = await addMember(app, first.tenant, "owner");
    await addMember(app, first.tenant);
    await change(first, { plan: "free" });
    const password = "a-Fine-passphrase-7";
    const addUser = async (email: string) => {
      const body = { email, password, role: "viewer" };
      return (await owner.call("POST", "/users", body)).body;
    };
    const before = await hashes();
    const { items } = (await owner.call("GET", "/users")).body;
    expect((await addUser(items[0].email)).code).toBe("email_taken");
    const refused = { code: "quota_exceeded", quota: "users", limit: 3 };
    expect(await addUser("another@example.com")).toMatchObject(refused);
    expect(await hashes()).toBe(before);
  });

  test("count also without a route", async () => {
    const first = await memberOf("free");
    const insert = app.withTenant(first.tenant.id, ({ db }) =>
      db.query("insert into users (email) select n || '@example.com' from generate_series(1, 3) n"),
    );
    await expect(insert).rejects.toMatchObject({ code: "QX001" });
  });

  test("who register beyond the quota are notified by mail: the response is the same for all", async () => {
    const first = await memberOf("free");
    const email_verification = "required";
    await change(first, { settings: { registration: "open", email_verification } });
    const [known, unknown] = ["known@example.com", "unknown@example.com"];
    expect((await signUp(first, known)).status).toBe(201);
    expect((await signUp(first, "another@example.com")).status).toBe(201);

    const [again, never] = [await signUp(first, known), await signUp(first, unknown)];
    expect([again.status, never.status]).toEqual([201, 201]);
    expect({ ...again.body, email: "" }).toEqual({ ...never.body, email: "" });
    expect(await counterOf(first, "users")).toBe(3);
    // It is sent after the response.
    await expect.poll(() => mailsTo(unknown), { timeout: 10_000 }).toEqual(["no_room"]);
  });
});

test("a tenant's counters are its own, and invisible to others", async () => {
  const [a, b] = [await memberOf("free"), await memberOf("free")];
  await addMany(a, 2);
  await addMany(b, 3);
  expect(await counterOf(a, "rows")).toBe(2);
  expect(await counterOf(b, "rows")).toBe(3);
  await app.withTenant<Counters, unknown>(b.tenant.id, ({ db }) =>
    db.updateTable("quota_counters").set({ used: "0" }).execute(),
  );
  expect(await counterOf(a, "rows")).toBe(2);
});
