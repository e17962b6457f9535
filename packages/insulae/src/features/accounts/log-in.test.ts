import { hash as bcrypt } from "@node-rs/bcrypt";
import { decodeJwt } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processorTime } from "../../testing/processor-time.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  // What a log-in costs is a part of what is tested here.
  people = await openTestPeople({ config: { argon2: { memoryKib: 19_456, passes: 2 } } });
});
afterAll(() => people?.close());

/** What must not differ between two refusals: all but the request's id. */
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

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
    const timed = (email: string) =>
      processorTime(() =>
        people.post("/api/v1/auth/login", {
          tenant: tenant.key,
          body: { email, password: "a wrong password" },
        }),
      );
    const times: { wrong: number[]; unknown: number[] } = { wrong: [], unknown: [] };
    for (let i = 0; i < 11; i += 1) {
      times.wrong.push(await timed(user.email));
      times.unknown.push(await timed("nobody@example.org"));
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[5] ?? Number.NaN;
    const [wrong, unknown] = [median(times.wrong), median(times.unknown)];
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
        body: { ...names, password: people.password },
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
      expect.objectContaining({
        msg: "User logged in successfully",
        level: 30,
        tenant_id: tenant.id,
      }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: "Failed login attempt",
        level: 40,
        reason: "invalid_password",
      }),
    );
    const text = JSON.stringify(people.logLines());
    for (const secret of [people.password, "a wrong password", "$argon2"]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe("each attempt", () => {
  interface Entry {
    action: string;
    actor_id: string | null;
    detail: { reason?: string };
  }

  it("is in the audit log of where it was made, and what was typed is not", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const { account } = await people.newAccount();
    const attempts = [
      [tenant.key, user.email, people.password],
      [tenant.key, user.email, "a wrong password"],
      [tenant.key, "my secret@example.org", "a wrong password"],
      [undefined, account.email, "a wrong password"],
      [undefined, account.email, people.password],
    ] as const;
    for (const [key, email, given] of attempts) {
      const body = { email, password: given, ...(key !== undefined && { tenant: key }) };
      await people.post("/api/v1/auth/login", { body });
    }
    const ofTenant = await people.app.withTenant(tenant, ({ db }) =>
      sql<Entry>`select action, actor_id, detail from audit_log
        where action in ('auth.logged_in', 'auth.login_failed') order by at`.execute(db),
    );
    const ofPlatform = await people.app.withPlatform("a test", ({ control }) =>
      sql<Entry>`select action, actor_id, detail from control.audit_log
        where actor_id = ${account.id} and action like 'auth.log%' order by at`.execute(control),
    );
    expect(ofTenant.rows).toMatchObject([
      { action: "auth.logged_in", actor_id: user.id },
      { action: "auth.login_failed", actor_id: user.id, detail: { reason: "invalid_password" } },
      { action: "auth.login_failed", actor_id: null, detail: { reason: "unknown_user" } },
    ]);
    expect(ofPlatform.rows).toMatchObject([
      { action: "auth.login_failed", detail: { reason: "invalid_password" } },
      { action: "auth.logged_in" },
    ]);
    expect(JSON.stringify(ofTenant.rows)).not.toContain("secret");
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
    const me = async () => (await people.get("/api/v1/auth/me", { token })).status;
    await expect.poll(me, { timeout: 1_000, interval: 20 }).toBe(401);
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
    const order: string[] = [];
    const all = Promise.all(attempts).finally(() => order.push("all attempts"));
    const me = await people.get("/api/v1/auth/me", { token }).finally(() => order.push("me"));
    const statuses = (await all).map(({ status }) => status);
    expect(me.status).toBe(200);
    expect(order).toEqual(["me", "all attempts"]);
    expect(new Set(statuses)).toEqual(new Set([401, 503]));
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(50);
  });
});

describe("a hash that was brought along", () => {
  it("is renewed at the log-in, and ends nobody's session", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const { account } = await people.newAccount();
    const stored = await bcrypt(people.password, 4);
    await people.app.withTenant(tenant, async ({ db, forgetUser }) => {
      await db.query("update users set password_hash = $1 where id = $2", [stored, user.id]);
      await forgetUser(user.id);
    });
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ password_hash: stored })
        .where("id", "=", account.id)
        .execute(),
    );
    const logIn = (email: string, where?: string) =>
      people.post("/api/v1/auth/login", {
        ...(where && { tenant: where }),
        body: { email, password: people.password },
      });
    const hashes = async () => [
      (
        await people.onTenant(tenant, (db) =>
          db.query<{ password_hash: string }>("select password_hash from users where id = $1", [
            user.id,
          ]),
        )
      )[0]?.password_hash,
      (
        await people.onPlatform(({ control }) =>
          control
            .selectFrom("control.accounts")
            .select("password_hash")
            .where("id", "=", account.id)
            .executeTakeFirst(),
        )
      )?.password_hash,
    ];
    const first = [await logIn(user.email, tenant.key), await logIn(account.email)];
    const renewed = await hashes();
    for (const each of renewed) expect(each).toMatch(/^\$argon2id\$/);
    const second = [await logIn(user.email, tenant.key), await logIn(account.email)];
    expect(await hashes()).toEqual(renewed);
    for (const { status, body } of [...first, ...second]) {
      expect(status).toBe(200);
      expect(await people.get("/api/v1/auth/me", { token: body.token })).toMatchObject({
        status: 200,
      });
    }
  });
});
