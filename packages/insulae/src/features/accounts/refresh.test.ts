import fc from "fast-check";
import { decodeJwt } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
let otherNode: App;
beforeAll(async () => {
  people = await openTestPeople();
  otherNode = await people.openNode();
});
afterAll(async () => {
  await otherNode?.close();
  await people?.close();
});

const refresh = (refreshToken: string, more: object = {}) =>
  people.post("/api/v1/auth/refresh", { ...more, body: { refresh_token: refreshToken } });

const statusOnOther = async (token: string) => {
  const headers = { authorization: `Bearer ${token}` };
  return (await otherNode.inject({ url: "/api/v1/auth/me", headers })).statusCode;
};
const status = async (token: string) => (await people.get("/api/v1/auth/me", { token })).status;

/** Whether the session goes on: it does not if either of its newest tokens is refused. */
const isOver = async ({ token, refreshToken }: { token: string; refreshToken: string }) =>
  (await status(token)) === 401 && (await refresh(refreshToken)).status === 401;

const sidOf = (token: string) => String(decodeJwt(token).sid);

/** As if so many seconds had passed since the session was refreshed. */
const letPass = (token: string, seconds: number) =>
  people.app.withPlatform("a test", ({ control }) =>
    sql`update control.sessions set refreshed_at = refreshed_at - make_interval(secs => ${seconds})
        where id = ${sidOf(token)}`.execute(control),
  );

describe("refreshing", () => {
  it("gives new tokens of the same session, to users and to accounts", async () => {
    const tenant = await people.newTenant();
    const before = [await people.register(tenant), await people.newAccount()];
    for (const { token, refreshToken } of before) {
      const { status: code, body } = await refresh(refreshToken);
      expect(code).toBe(200);
      expect(body).toMatchObject({
        token_type: "bearer",
        expires_in: 900,
        token: body.access_token,
      });
      expect(body.refresh_token).not.toBe(refreshToken);
      expect(sidOf(body.token)).toBe(sidOf(token));
      expect(await status(body.token)).toBe(200);
      expect((await refresh(body.refresh_token)).status).toBe(200);
    }
  });

  it("stores nothing that could be used", async () => {
    const { token, refreshToken } = await people.newAccount();
    const row = await people.app.withPlatform("a test", ({ control }) =>
      control
        .selectFrom("control.sessions")
        .selectAll()
        .where("id", "=", sidOf(token))
        .executeTakeFirstOrThrow(),
    );
    const bytes = Buffer.from(refreshToken.slice(3), "base64url");
    const stored = Buffer.concat(
      Object.values(row).map((value) =>
        value instanceof Buffer ? value : Buffer.from(String(value)),
      ),
    );
    expect(stored.includes(bytes.subarray(20, 52))).toBe(false);
    expect(row.refresh_hash).toHaveLength(32);
  });

  it("50 times at once, on two nodes, gives one successor", async () => {
    const { refreshToken } = await people.newAccount();
    const replies = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        if (i % 2 === 0) return refresh(refreshToken);
        const payload = { refresh_token: refreshToken };
        const reply = await otherNode.inject({
          method: "POST",
          url: "/api/v1/auth/refresh",
          payload,
        });
        return { status: reply.statusCode, body: reply.json() };
      }),
    );
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ body }) => body.refresh_token)).size).toBe(1);
  });

  it("gives the same successor again while the answer may have been lost, and then ends the session", async () => {
    const { token, refreshToken } = await people.newAccount();
    const first = await refresh(refreshToken);
    const again = await refresh(refreshToken);
    expect(again).toMatchObject({ status: 200, body: { refresh_token: first.body.refresh_token } });
    await letPass(token, 11);
    expect(await refresh(refreshToken)).toMatchObject({
      status: 401,
      body: { code: "invalid_token" },
    });
    expect(await isOver({ token, refreshToken: first.body.refresh_token })).toBe(true);
    expect(await status(again.body.token)).toBe(401);
  });

  it("ends the session when the last token but one comes again, however soon", async () => {
    const { token, refreshToken } = await people.newAccount();
    const second = await refresh(refreshToken);
    const third = await refresh(second.body.refresh_token);
    expect(third.status).toBe(200);
    expect((await refresh(refreshToken)).status).toBe(401);
    expect(await isOver({ token, refreshToken: third.body.refresh_token })).toBe(true);
    await expect.poll(() => statusOnOther(third.body.token), soon).toBe(401);
  });

  it("remembers what was used when everything is started anew", async () => {
    const { refreshToken } = await people.newAccount();
    const second = await refresh(refreshToken);
    await refresh(second.body.refresh_token);
    const restarted = await people.openNode();
    const replay = (token: string) =>
      restarted.inject({
        method: "POST",
        url: "/api/v1/auth/refresh",
        payload: { refresh_token: token },
      });
    try {
      expect((await replay(refreshToken)).statusCode).toBe(401);
      expect((await replay(second.body.refresh_token)).statusCode).toBe(401);
    } finally {
      await restarted.close();
    }
  });

  it("takes nothing but a refresh token, and a refresh token is nothing elsewhere", async () => {
    const { token, refreshToken } = await people.newAccount();
    for (const other of [token, "", "ir_", "x", refreshToken.slice(3), `${refreshToken}A`]) {
      expect([400, 401]).toContain((await refresh(other)).status);
    }
    expect(await status(refreshToken)).toBe(401);
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it("is not disturbed by tokens that somebody made up", async () => {
    const { refreshToken } = await people.newAccount();
    const bytes = Buffer.from(refreshToken.slice(3), "base64url");
    for (let i = 0; i < bytes.length; i += 3) {
      const forged = Buffer.from(bytes);
      forged.writeUInt8((forged.readUInt8(i) + 1) % 256, i);
      expect((await refresh(`ir_${forged.toString("base64url")}`)).status).toBe(401);
    }
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it("ends with the session", async () => {
    const { token, refreshToken } = await people.newAccount();
    await people.app.withPlatform("a test", ({ control }) =>
      sql`update control.sessions set expires_at = now() where id = ${sidOf(token)}`.execute(
        control,
      ),
    );
    expect((await refresh(refreshToken)).status).toBe(401);
  });

  it("writes a token that was copied to the audit log", async () => {
    const { account, token, refreshToken } = await people.newAccount();
    const second = await refresh(refreshToken);
    await refresh(second.body.refresh_token);
    await refresh(refreshToken);
    const entry = await people.app.withPlatform("a test", ({ control }) =>
      sql<{ actor_id: string; target_id: string }>`
        select actor_id, target_id from control.audit_log
        where action = 'auth.refresh_reused' and target_id = ${sidOf(token)}`.execute(control),
    );
    expect(entry.rows).toMatchObject([{ actor_id: account.id }]);
  });
});

describe("a refresh token", () => {
  it("waits for its tenant while that is suspended", async () => {
    const tenant = await people.newTenant();
    const { refreshToken } = await people.register(tenant);
    await people.suspend(tenant);
    expect(await refresh(refreshToken)).toMatchObject({
      status: 403,
      body: { code: "tenant_inactive" },
    });
    await people.app.tenants.resume(tenant.id);
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it("of one tenant is refused on another's host, and used up by nobody", async () => {
    const [tenant, other] = [await people.newTenant(), await people.newTenant()];
    const { refreshToken } = await people.register(tenant);
    expect(await refresh(refreshToken, { tenant: other.key })).toMatchObject({
      status: 403,
      body: { code: "tenant_access_denied" },
    });
    expect((await refresh(refreshToken, { tenant: tenant.key })).status).toBe(200);
  });

  it("is refused at once when its user is disabled, deleted or has another password", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const changes: ((id: string) => Promise<unknown>)[] = [
      (id) =>
        people.patch(`/api/v1/users/${id}`, { token: owner.token, body: { is_active: false } }),
      (id) => people.delete(`/api/v1/users/${id}`, { token: owner.token }),
      (id) =>
        people.app.withTenant(tenant, async ({ db, forgetUser }) => {
          await sql`update users set password_hash = 'another' where id = ${id}`.execute(db);
          await forgetUser(id);
        }),
    ];
    for (const change of changes) {
      const { user, token, refreshToken } = await people.register(tenant);
      expect([await status(token), await statusOnOther(token)]).toEqual([200, 200]);
      await change(user.id);
      expect((await refresh(refreshToken)).status).toBe(401);
      expect(await status(token)).toBe(401);
      await expect.poll(() => statusOnOther(token), soon).toBe(401);
    }
  });

  it("is refused at once when the account it goes back to is deactivated, changed, or no member", async () => {
    const changes: ((id: string) => Promise<unknown>)[] = [
      "is_active = false",
      "password_hash = 'x'",
    ].map(
      (set) => (id: string) =>
        people.app.withPlatform("a test", ({ control }) =>
          sql`update control.accounts set ${sql.raw(set)} where id = ${id}`.execute(control),
        ),
    );
    changes.push((id) =>
      people.app.withPlatform("a test", ({ control }) =>
        sql`delete from control.memberships where account_id = ${id}`.execute(control),
      ),
    );
    for (const change of changes) {
      const owner = await people.newOwner(await people.newTenant());
      expect([await status(owner.token), await statusOnOther(owner.token)]).toEqual([200, 200]);
      await change(owner.account.id);
      expect((await refresh(owner.refreshToken)).status).toBe(401);
      await expect.poll(() => status(owner.token), soon).toBe(401);
      await expect.poll(() => statusOnOther(owner.token), soon).toBe(401);
    }
  });
});

it("a membership that is removed ends the access tokens of its user, on every node", async () => {
  const owner = await people.newOwner(await people.newTenant());
  expect([await status(owner.token), await statusOnOther(owner.token)]).toEqual([200, 200]);
  await people.app.withPlatform("a test", ({ control }) =>
    control.deleteFrom("control.memberships").where("account_id", "=", owner.account.id).execute(),
  );
  await expect.poll(() => status(owner.token), soon).toBe(401);
  await expect.poll(() => statusOnOther(owner.token), soon).toBe(401);
});

const soon = { timeout: 1_000, interval: 10 };

/** What may happen to a session; `use` is which of its refresh tokens, counted from the newest. */
type Step = { readonly use: number } | "wait" | "log out";
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.nat(3).map((use) => ({ use })) },
    { weight: 1, arbitrary: fc.constant("wait" as const) },
    { weight: 1, arbitrary: fc.constant("log out" as const) },
  ),
  { maxLength: 10 },
);

it("no sequence of refreshing, replaying, waiting and logging out gets more than it should", async () => {
  const person = await people.newAccount();
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const { body } = await people.post("/api/v1/auth/switch", {
        token: person.token,
        body: { tenant: null },
      });
      let { token } = body;
      const given: string[] = [body.refresh_token];
      const model = { open: true, recent: false };
      for (const step of sequence) {
        if (step === "wait") {
          await letPass(token, 11);
          model.recent = false;
        } else if (step === "log out") {
          const left = await people.post("/api/v1/auth/logout", { token });
          expect(left.status).toBe(model.open ? 204 : 401);
          model.open = false;
        } else {
          const index = Math.max(0, given.length - 1 - step.use);
          const age = given.length - 1 - index;
          const may = model.open && (age === 0 || (age === 1 && model.recent));
          const reply = await refresh(given[index] ?? "");
          expect(reply.status).toBe(may ? 200 : 401);
          if (may) {
            token = reply.body.token;
            if (age === 0) given.push(reply.body.refresh_token);
            else expect(reply.body.refresh_token).toBe(given.at(-1));
            if (age === 0) model.recent = true;
          } else if (age > 0) model.open = false;
        }
        expect(await status(token)).toBe(model.open ? 200 : 401);
      }
    }),
    { numRuns: 40 },
  );
}, 30_000);
