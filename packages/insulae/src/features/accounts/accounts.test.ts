import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

describe("tenant B", () => {
  it("can't use a token of tenant A", async () => {
    const [a, b] = [await people.newTenant(), await people.newTenant()];
    const { token } = await people.register(a);
    for (const path of ["/api/v1/auth/me", "/api/v1/users"]) {
      expect(await people.get(path, { token, tenant: b.key })).toMatchObject({ status: 403 });
    }
  });

  it("is said in the log to have been tried, with who, whose and which", async () => {
    const [a, b] = [await people.newTenant(), await people.newTenant()];
    const { token, user } = await people.register(a);
    await people.get("/api/v1/users", { token, tenant: b.key });
    expect(people.logLines()).toContainEqual(
      expect.objectContaining({
        msg: "Cross-tenant access attempt",
        level: 40,
        user: user.id,
        user_tenant: a.key,
        request_tenant: b.key,
      }),
    );
  });

  it("can't be reached with a core token", async () => {
    const b = await people.newTenant();
    const { token } = await people.newAccount();
    expect(await people.get("/api/v1/users", { token, tenant: b.key })).toMatchObject({
      status: 401,
    });
  });
});

describe("nobody", () => {
  it("becomes a user by naming one", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const named = { user_id: user.id, sub: user.id, tenant_id: tenant.id };
    const replies = await Promise.all([
      people.post("/api/v1/users", {
        tenant: tenant.key,
        body: { ...named, email: "a@b.example" },
      }),
      people.patch(`/api/v1/users/${user.id}`, { tenant: tenant.key, body: named }),
      people.post("/api/v1/auth/logout", { tenant: tenant.key, body: named }),
      people.post("/api/v1/auth/switch", { body: { ...named, tenant: tenant.key } }),
      people.get(`/api/v1/auth/me?user_id=${user.id}`, { tenant: tenant.key }),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
  });
});

describe("the published keys", () => {
  it("verify the tokens", async () => {
    const { token } = await people.newAccount();
    const { body } = await people.get("/.well-known/jwks.json");
    expect(body.keys).toHaveLength(1);
    expect(Object.keys(body.keys[0]).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
    const { payload } = await jwtVerify(token, createLocalJWKSet(body));
    expect(payload).toMatchObject({ token_type: "access", is_owner: true });
  });
});
