import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const password = "correct horse battery";

describe("registering", () => {
  it("without a tenant makes an account, and signs it in to the core", async () => {
    const { status, body } = await people.post("/api/v1/auth/register", {
      body: { email: "Ada@Example.org", password, first_name: "Ada" },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      token_type: "bearer",
      expires_in: 900,
      tenant: null,
      tenants: [],
    });
    expect(body.token).toBe(body.access_token);
    expect(body.user).toMatchObject({
      email: "ada@example.org",
      first_name: "Ada",
      is_owner: true,
    });
    expect(body.user).toMatchObject({ platform_admin: false, email_verified: false });
    expect(body.user).not.toHaveProperty("role");
    const me = await people.get("/api/v1/auth/me", { token: body.token });
    expect(me.body).toMatchObject({ user: { email: "ada@example.org" }, tenant: null });
  });

  it("with a tenant makes a user of it, with the role user", async () => {
    const tenant = await people.newTenant();
    const { status, body } = await people.post("/api/v1/auth/register", {
      tenant: tenant.key,
      body: { email: "bob@example.org", password, username: "Bob", last_name: "Byte" },
    });
    expect(status).toBe(201);
    expect(body.tenant).toMatchObject({ id: tenant.id, key: tenant.key, number: tenant.number });
    expect(body.user).toMatchObject({ role: "user", username: "bob", last_name: "Byte" });
    expect(body).not.toHaveProperty("tenants");
    expect(decodeJwt(body.token)).toMatchObject({
      sub: body.user.id,
      tenant_id: tenant.id,
      role: "user",
      permissions: expect.arrayContaining(["users:read"]),
    });
    const me = await people.get("/api/v1/auth/me", { token: body.token });
    expect(me.body).toMatchObject({ role: "user", tenant: { key: tenant.key } });
    expect(me.body.permissions).not.toContain("users:write");
  });

  it("takes the tenant from the body, where nothing says otherwise", async () => {
    const [tenant, other] = [await people.newTenant(), await people.newTenant()];
    const body = { email: "eve@example.org", password, tenant: tenant.slug };
    const contradicted = await people.post("/api/v1/auth/register", { tenant: other.key, body });
    expect(contradicted).toMatchObject({ status: 403, body: { code: "tenant_access_denied" } });
    const registered = await people.post("/api/v1/auth/register", { body });
    expect(registered).toMatchObject({ status: 201, body: { tenant: { id: tenant.id } } });
    const unknown = await people.post("/api/v1/auth/register", {
      body: { ...body, tenant: "none" },
    });
    expect(unknown).toMatchObject({ status: 403, body: { code: "registration_closed" } });
  });

  it.each(["role", "tenant_id", "permissions", "is_owner", "platform_admin", "email_verified"])(
    "refuses a body with %s",
    async (field) => {
      const tenant = await people.newTenant();
      for (const where of [{}, { tenant: tenant.key }]) {
        const { status, body } = await people.post("/api/v1/auth/register", {
          ...where,
          body: { email: "mallory@example.org", password, [field]: "owner" },
        });
        expect(status).toBe(400);
        expect(body.errors).toEqual([expect.objectContaining({ pointer: `/body/${field}` })]);
      }
    },
  );

  it("is refused where the tenant's settings say so", async () => {
    const tenant = await people.newTenant({ settings: { registration: "closed" } });
    const { status, body } = await people.post("/api/v1/auth/register", {
      tenant: tenant.key,
      body: { email: "bob@example.org", password },
    });
    expect({ status, code: body.code }).toEqual({ status: 403, code: "registration_closed" });
  });

  it("is open in production only where the tenant's settings say so", async () => {
    const silent = await people.newTenant();
    const open = await people.newTenant({ settings: { registration: "open" } });
    const node = await people.openNode({ env: "production", baseDomain: "example.com" });
    try {
      const register = async ({ key }: { key: string }) => {
        const payload = { email: people.newEmail(), password, tenant: key };
        const reply = await node.inject({ method: "POST", url: "/api/v1/auth/register", payload });
        return reply.statusCode;
      };
      expect(await register(silent)).toBe(403);
      expect(await register(open)).toBe(201);
    } finally {
      await node.close();
    }
  });

  it("is refused for an e-mail that is taken, however it is written", async () => {
    const tenant = await people.newTenant();
    for (const where of [{}, { tenant: tenant.key }]) {
      const register = (email: string) =>
        people.post("/api/v1/auth/register", { ...where, body: { email, password } });
      expect((await register("zoë@example.org")).status).toBe(201);
      for (const email of ["ZOË@EXAMPLE.ORG", "zoe\u0308@example.org", " ｚoë@example.org"]) {
        expect(await register(email)).toMatchObject({ status: 409, body: { code: "email_taken" } });
      }
    }
  });

  it.each([
    ["a weak password", { password: "password1" }, "weak_password"],
    ["a short password", { password: "x7#kq2m" }, "validation_failed"],
    ["a password of 9,000 characters", { password: "aB3".repeat(3_000) }, "validation_failed"],
    ["an e-mail that is none", { email: '"x@evil y"@corp.org' }, "invalid_email"],
    ["a username, without a tenant", { username: "carl" }, "validation_failed"],
  ])("is refused with %s", async (_what, change, code) => {
    const { status, body } = await people.post("/api/v1/auth/register", {
      body: { email: "carl@example.org", password, ...change },
    });
    expect({ status, code: body.code }).toEqual({ status: 400, code });
  });

  it("is refused with a password of a megabyte, before it is read", async () => {
    const body = { email: "carl@example.org", password: "aB3".repeat(300_000) };
    expect((await people.post("/api/v1/auth/register", { body })).status).toBe(413);
  });
});
