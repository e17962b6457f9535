/** How long a log-in takes must not tell who has an account: whoever it is, it costs one hash. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
const password = "SecurePassword123!";
const people = {
  account: "account@example.com",
  user: "user@example.com",
  "an account and a user": "both@example.com",
  "an inactive account": "inactive-account@example.com",
  "an inactive user": "inactive-user@example.com",
  foreigner: "foreigner@example.com",
  nobody: "nobody@example.com",
};
const inTenant = (tenant: string) => ({ "x-tenant": tenant });

beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
  const register = async (email: string, tenant?: string) => {
    const { status } = await call("POST", "/api/v1/auth/register", {
      body: { email, password },
      ...(tenant && { headers: inTenant(tenant) }),
    });
    expect(status).toBe(201);
  };
  for (const key of ["demo_tenant", "globex"]) await app.tenants.create({ key, name: key });
  for (const who of ["account", "an account and a user", "an inactive account"] as const) {
    await register(people[who]);
  }
  for (const who of ["user", "an account and a user", "an inactive user"] as const) {
    await register(people[who], "demo_tenant");
  }
  await register(people.foreigner, "globex");
  await app.withPlatform("test", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ is_active: false })
      .where("email", "=", people["an inactive account"])
      .execute(),
  );
  await app.withTenant("demo_tenant", ({ db }) =>
    db.query("update users set is_active = false where email = $1", [people["an inactive user"]]),
  );
});
afterAll(() => app?.close());

/** How many passwords the request has the server hash. */
async function hashesOf(work: () => Promise<unknown>): Promise<number> {
  const count = async () => {
    const { body } = await app.inject("/metrics");
    return Number(/^insulae_password_hashes_total (\d+)$/m.exec(body)?.[1]);
  };
  const before = await count();
  await work();
  return (await count()) - before;
}

const ways = [
  { path: "/api/v1/auth/login", headers: {}, name: "email" },
  { path: "/api/v1/auth/login", headers: inTenant("demo_tenant"), name: "email" },
  { path: "/auth/login", headers: {}, name: "email" },
  { path: "/auth/login", headers: inTenant("demo_tenant"), name: "email" },
  { path: "/api/auth/login", headers: {}, name: "email" },
  { path: "/api/auth/login", headers: {}, name: "username_or_email" },
  { path: "/login", headers: inTenant("demo_tenant"), name: "username" },
];

describe.each(ways)("a log-in at $path, by $name, with the headers $headers", (way) => {
  it.each(Object.entries(people))("costs one hash for %s", async (_who, email) => {
    const logIn = (secret: string) =>
      call("POST", way.path, {
        body: { [way.name]: email, password: secret },
        headers: way.headers,
      });
    let status = 0;
    expect(
      await hashesOf(async () => {
        ({ status } = await logIn("a wrong password"));
      }),
    ).toBe(1);
    expect([200, 400, 401]).toContain(status);
    expect(await hashesOf(() => logIn(password))).toBe(1);
  });
});

describe("a registration", () => {
  it.each(Object.entries(people))("costs one hash for %s", async (_who, email) => {
    const body = { email, password };
    const headers = inTenant("demo_tenant");
    expect(await hashesOf(() => call("POST", "/auth/register", { body, headers }))).toBe(1);
  });
});

describe("whoever has one e-mail as an account and as a user of DEFAULT_TENANT", () => {
  const logIn = async (secret: string) =>
    (await call("POST", "/auth/login", { body: { email: "twice@example.com", password: secret } }))
      .status;

  it("is the account, unless only the user has proved that the e-mail is theirs", async () => {
    const register = (secret: string, headers = {}) =>
      call("POST", "/api/v1/auth/register", {
        body: { email: "twice@example.com", password: secret },
        headers,
      });
    await register("the account's password");
    await register("the user's password", inTenant("demo_tenant"));
    expect(await logIn("the account's password")).toBe(200);
    expect(await logIn("the user's password")).toBe(401);
    await app.withTenant("demo_tenant", ({ db }) =>
      db.query("update users set email_verified = true where email = 'twice@example.com'"),
    );
    expect(await logIn("the account's password")).toBe(401);
    expect(await logIn("the user's password")).toBe(200);
  });
});
