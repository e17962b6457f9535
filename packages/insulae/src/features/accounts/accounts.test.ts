import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../users/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const password = "correct horse battery";

/** What must not differ between two refusals: all but the request's id. */
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

describe("registering", () => {
  it("without a tenant makes an account, and signs it in to the core", async () => {
    const { status, body } = await people.post("/api/v1/auth/register", {
      body: { email: "Ada@Example.org", password, first_name: "Ada" },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ token_type: "bearer", expires_in: 900, tenant: null, tenants: [] });
    expect(body.token).toBe(body.access_token);
    expect(body.user).toMatchObject({ email: "ada@example.org", first_name: "Ada", is_owner: true });
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
    const unknown = await people.post("/api/v1/auth/register", { body: { ...body, tenant: "none" } });
    expect(unknown).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
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
    ["a password of a megabyte", { password: "aB3".repeat(300_000) }, "validation_failed"],
    ["an e-mail that is none", { email: '"x@evil y"@corp.org' }, "invalid_email"],
    ["a username, without a tenant", { username: "carl" }, "validation_failed"],
  ])("is refused with %s", async (_what, change, code) => {
    const { status, body } = await people.post("/api/v1/auth/register", {
      body: { email: "carl@example.org", password, ...change },
    });
    expect({ status, code: body.code }).toEqual({ status: 400, code });
  });
});

describe("logging in to a tenant", () => {
  it("takes the e-mail or the username, in any case", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant, { username: "grace" });
    const names = [{ email: user.email.toUpperCase() }, { username: "GRACE" }];
    for (const name of names) {
      const { status, body } = await people.post("/api/v1/auth/login", {
        tenant: tenant.key,
        body: { ...name, password: people.password },
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({ user: { id: user.id }, tenant: { id: tenant.id } });
      expect(JSON.stringify(body)).not.toMatch(/argon2|password/);
    }
  });

  it("answers the same to a wrong password, an unknown, an inactive and another tenant's user", async () => {
    const [tenant, other] = [await people.newTenant(), await people.newTenant()];
    const owner = await people.newOwner(tenant);
    const { user: known } = await people.register(tenant);
    const { user: inactive } = await people.register(tenant);
    const { user: foreign } = await people.register(other);
    const { user: passwordless } = await people.addUser(tenant, owner, {});
    await people.patch(`/api/v1/users/${inactive.id}`, {
      token: owner.token,
      body: { is_active: false },
    });
    const logIn = (email: string, given: string) =>
      people.post("/api/v1/auth/login", { tenant: tenant.key, body: { email, password: given } });
    const refusals = await Promise.all([
      logIn(known.email, "a wrong password"),
      logIn("nobody@example.org", people.password),
      logIn("no e-mail at all", people.password),
      logIn(inactive.email, people.password),
      logIn(foreign.email, people.password),
      logIn(passwordless.email, people.password),
    ]);
    for (const { status, body } of refusals) {
      expect(status).toBe(401);
      expect(body.code).toBe("invalid_credentials");
      expect(withoutId(body)).toEqual(withoutId(refusals[0]?.body ?? {}));
    }
  });

  it("takes as long for an unknown user as for a wrong password", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const median = async (email: string) => {
      const times: number[] = [];
      for (let i = 0; i < 11; i += 1) {
        const start = performance.now();
        await people.post("/api/v1/auth/login", {
          tenant: tenant.key,
          body: { email, password: "a wrong password" },
        });
        times.push(performance.now() - start);
      }
      return times.sort((a, b) => a - b)[5] ?? Number.NaN;
    };
    const [wrong, unknown] = [await median(user.email), await median("nobody@example.org")];
    expect(unknown).toBeGreaterThan(wrong / 2);
    expect(unknown).toBeLessThan(wrong * 2);
  });

  it("takes the password of the account that the user is linked to", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const logIn = (given: string) =>
      people.post("/api/v1/auth/login", {
        tenant: tenant.key,
        body: { email: owner.account.email, password: given },
      });
    expect(await logIn(people.password)).toMatchObject({
      status: 200,
      body: { tenant: { id: tenant.id }, user: { role: "owner" } },
    });
    expect(await logIn("a wrong password")).toMatchObject({ status: 401 });
    await people.deactivateAccount(owner.account.id);
    expect(await logIn(people.password)).toMatchObject({ status: 401 });
  });

  it("wants an e-mail or a username, not both", async () => {
    for (const names of [{}, { email: "a@example.org", username: "a" }]) {
      const { status } = await people.post("/api/v1/auth/login", {
        body: { ...names, password },
      });
      expect(status).toBe(400);
    }
  });

  it("writes who logged in, and why somebody did not, and never a password", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const logIn = (given: string) =>
      people.post("/api/v1/auth/login", {
        tenant: tenant.key,
        body: { email: user.email, password: given },
      });
    await logIn(people.password);
    await logIn("a wrong password");
    const lines = people.logLines().filter((line) => line.user_id === user.id);
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "User logged in successfully", level: 30, tenant_id: tenant.id }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "Failed login attempt", level: 40, reason: "invalid_password" }),
    );
    const text = JSON.stringify(people.logLines());
    for (const secret of [people.password, "a wrong password", "$argon2"]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe("logging in without a tenant", () => {
  const logIn = (email: string) =>
    people.post("/api/v1/auth/login", { body: { email, password: people.password } });

  it("gives an account in no tenant a core token", async () => {
    const { account } = await people.newAccount();
    const { status, body } = await logIn(account.email);
    expect(status).toBe(200);
    expect(body).toMatchObject({ tenant: null, tenants: [], user: { id: account.id } });
    expect(decodeJwt(body.token)).not.toHaveProperty("tenant_id");
  });

  it("gives an account in one tenant a token for that tenant", async () => {
    const tenant = await people.newTenant();
    const { account } = await people.newOwner(tenant);
    const { body } = await logIn(account.email);
    expect(body).toMatchObject({ tenant: { id: tenant.id }, user: { role: "owner" } });
    expect(decodeJwt(body.token)).toMatchObject({ tenant_id: tenant.id, role: "owner" });
    expect(await people.get("/api/v1/users", { token: body.token })).toMatchObject({ status: 200 });
  });

  it("gives an account in several tenants a core token and the list", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account } = await people.newOwner(one);
    await people.makeOwner(two, account);
    const { body } = await logIn(account.email);
    expect(body.tenant).toBeNull();
    expect(body.tenants.map(({ key }: { key: string }) => key)).toEqual([one.key, two.key]);
  });

  it("does not take a suspended tenant, or one whose user is gone, for a membership", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account } = await people.newOwner(one);
    await people.makeOwner(two, account);
    await people.suspend(two);
    expect((await logIn(account.email)).body).toMatchObject({ tenant: { id: one.id } });
    await people.removeUserOf(one, account);
    expect((await logIn(account.email)).body).toMatchObject({ tenant: null });
  });

  it("gives a platform administrator a core token, whatever they are a member of", async () => {
    const tenant = await people.newTenant();
    const admin = await people.admin();
    await people.makeOwner(tenant, admin.account);
    const { body } = await logIn(admin.account.email);
    expect(body).toMatchObject({ tenant: null, user: { platform_admin: true } });
    expect(body.tenants).toContainEqual(expect.objectContaining({ id: tenant.id }));
  });

  it("does not know the users of tenants", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant, { username: "heidi" });
    expect(await logIn(user.email)).toMatchObject({ status: 401 });
    const byUsername = await people.post("/api/v1/auth/login", {
      body: { username: "heidi", password: people.password },
    });
    expect(byUsername).toMatchObject({ status: 401, body: { code: "invalid_credentials" } });
  });

  it("refuses an inactive account, and its tokens from then on", async () => {
    const { account, token } = await people.newAccount();
    expect(await people.get("/api/v1/auth/me", { token })).toMatchObject({ status: 200 });
    await people.deactivateAccount(account.id);
    expect(await logIn(account.email)).toMatchObject({ status: 401 });
    expect(await people.get("/api/v1/auth/me", { token })).toMatchObject({ status: 401 });
  });
});

describe("switching", () => {
  const switchTo = (token: string, tenant: string | null) =>
    people.post("/api/v1/auth/switch", { token, body: { tenant } });

  it("goes from the core to a tenant, to another one, and back", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(one, account);
    await people.makeOwner(two, account);
    const first = await switchTo(token, one.key);
    expect(first).toMatchObject({ status: 200, body: { tenant: { id: one.id } } });
    const second = await switchTo(first.body.token, two.id);
    expect(second).toMatchObject({ status: 200, body: { tenant: { id: two.id } } });
    expect(decodeJwt(second.body.token)).toMatchObject({ tenant_id: two.id, role: "owner" });
    const back = await switchTo(second.body.token, null);
    expect(back).toMatchObject({ status: 200, body: { tenant: null, user: { id: account.id } } });
  });

  it("does not lead into a tenant that the account is not in, as into one that does not exist", async () => {
    const [mine, foreign] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(mine, account);
    const [there, nowhere] = await Promise.all([
      switchTo(token, foreign.key),
      switchTo(token, "no_such_tenant"),
    ]);
    expect(there).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
    expect(withoutId(there.body)).toEqual(withoutId(nowhere.body));
  });

  it("does not lead into a tenant whose user of the account is inactive, or that is suspended", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(one, account);
    await people.makeOwner(two, account);
    await people.removeUserOf(one, account);
    await people.suspend(two);
    expect(await switchTo(token, one.key)).toMatchObject({ status: 404 });
    expect(await switchTo(token, two.key)).toMatchObject({
      status: 403,
      body: { code: "tenant_inactive" },
    });
  });

  it("is nothing for a user without an account, or for nobody", async () => {
    const tenant = await people.newTenant();
    const { token } = await people.register(tenant);
    expect(await switchTo(token, null)).toMatchObject({
      status: 403,
      body: { code: "no_account" },
    });
    const nobody = await people.post("/api/v1/auth/switch", {
      body: { tenant: tenant.key },
    });
    expect(nobody).toMatchObject({ status: 401 });
  });

  it("can't be had by giving a linked user a password of one's own", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    await expect(people.setPasswordOf(tenant, owner.user.id)).rejects.toThrow(
      "users_one_password_check",
    );
  });
});

describe("tenant B", () => {
  it("can't use a token of tenant A", async () => {
    const [a, b] = [await people.newTenant(), await people.newTenant()];
    const { token } = await people.register(a);
    for (const path of ["/api/v1/auth/me", "/api/v1/users"]) {
      expect(await people.get(path, { token, tenant: b.key })).toMatchObject({ status: 403 });
    }
  });

  it("can't be reached with a core token", async () => {
    const b = await people.newTenant();
    const { token } = await people.newAccount();
    expect(await people.get("/api/v1/users", { token, tenant: b.key })).toMatchObject({
      status: 401,
    });
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

describe("a flood of log-ins", () => {
  it("is bounded: most are told to try again, and other requests are answered meanwhile", async () => {
    const { token, account } = await people.newAccount();
    const attempts = Array.from({ length: 200 }, () =>
      people.post("/api/v1/auth/login", {
        body: { email: account.email, password: "a wrong password" },
      }),
    );
    const start = performance.now();
    const me = await people.get("/api/v1/auth/me", { token });
    const waited = performance.now() - start;
    const statuses = (await Promise.all(attempts)).map(({ status }) => status);
    expect(me.status).toBe(200);
    expect(waited).toBeLessThan(performance.now() - start);
    expect(new Set(statuses)).toEqual(new Set([401, 503]));
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(100);
  });
});
