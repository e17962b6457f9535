import { decodeJwt } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createRefreshTokens } from "../../kernel/identity/refresh-tokens.ts";
import { createSessions } from "../../kernel/identity/sessions.ts";
import { createSecrets } from "../../kernel/lib/secrets.ts";
import { unknownId } from "../../testing/fixtures.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";

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

const post = (path: string, token: string, body?: object) =>
  people.post(`/api/v1/auth/${path}`, { token, ...(body && { body }) });
const status = async (token: string) => (await people.get("/api/v1/auth/me", { token })).status;
const statusOnOther = async (token: string) => {
  const headers = { authorization: `Bearer ${token}` };
  return (await otherNode.inject({ url: "/api/v1/auth/me", headers })).statusCode;
};
const refresh = async (refreshToken: string) =>
  (await people.post("/api/v1/auth/refresh", { body: { refresh_token: refreshToken } })).status;
const sessionsOf = async (token: string) =>
  (await people.get("/api/v1/auth/sessions", { token })).body;
const logInAgain = async ({ email }: { email: string }) =>
  (await people.post("/api/v1/auth/login", { body: { email, password: people.password } })).body;
const sidOf = (token: string) => String(decodeJwt(token).sid);
const soon = { timeout: 1_000, interval: 10 };

describe("logging out", () => {
  it("ends the session's tokens at once, on every node within a second, and no other session", async () => {
    const { account, token, refreshToken } = await people.newAccount();
    const other = await logInAgain(account);
    expect([await status(token), await statusOnOther(token)]).toEqual([200, 200]);
    expect((await post("logout", token)).status).toBe(204);
    expect(await status(token)).toBe(401);
    expect(await refresh(refreshToken)).toBe(401);
    await expect.poll(() => statusOnOther(token), soon).toBe(401);
    expect([await status(other.token), await statusOnOther(other.token)]).toEqual([200, 200]);
  });

  it("is known to a node that starts afterwards", async () => {
    const { token } = await people.newAccount();
    await post("logout", token);
    const node = await people.openNode();
    try {
      const headers = { authorization: `Bearer ${token}` };
      expect((await node.inject({ url: "/api/v1/auth/me", headers })).statusCode).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("1,000 times at once with a refresh, leaves nothing that is good", async () => {
    const person = await people.newAccount();
    const race = async () => {
      const { body } = await post("switch", person.token, { tenant: null });
      const [refreshed] = await Promise.all([
        people.post("/api/v1/auth/refresh", { body: { refresh_token: body.refresh_token } }),
        post("logout", body.token),
      ]);
      const newest = refreshed.status === 200 ? refreshed.body : body;
      const left = [
        await status(body.token),
        await status(newest.token),
        await refresh(body.refresh_token),
        await refresh(newest.refresh_token),
      ];
      return left.every((code) => code === 401);
    };
    for (let round = 0; round < 50; round += 1) {
      const over = await Promise.all(Array.from({ length: 20 }, race));
      expect(over).toEqual(over.map(() => true));
    }
  }, 120_000);

  it("everywhere ends an account's sessions in the core and in its tenants, and not the others'", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const owner = await people.newOwner(one);
    const stranger = await people.newOwner(two);
    await people.makeOwner(two, owner.account);
    const core = await logInAgain(owner.account);
    const second = (await post("switch", core.token, { tenant: two.key })).body;
    expect((await post("logout-all", owner.token)).status).toBe(204);
    for (const { token, refresh_token } of [core, second]) {
      expect([await status(token), await refresh(refresh_token)]).toEqual([401, 401]);
      await expect.poll(() => statusOnOther(token), soon).toBe(401);
    }
    expect([await status(owner.token), await refresh(owner.refreshToken)]).toEqual([401, 401]);
    expect(await status(stranger.token)).toBe(200);
    const again = await people.logIn(one, owner.account.email);
    expect(await status(again.token)).toBe(200);
  });

  it("everywhere ends all sessions of a user with a password of their own", async () => {
    const tenant = await people.newTenant();
    const first = await people.register(tenant);
    const second = await people.logIn(tenant, first.user.email);
    const colleague = await people.register(tenant);
    expect((await post("logout-all", first.token)).status).toBe(204);
    for (const { token, refreshToken } of [first, second]) {
      expect([await status(token), await refresh(refreshToken)]).toEqual([401, 401]);
      await expect.poll(() => statusOnOther(token), soon).toBe(401);
    }
    expect(await status(colleague.token)).toBe(200);
  });

  it("everywhere wins over a switch on a node that has not heard of it", async () => {
    const { account, token } = await people.newAccount();
    const [, switched] = await Promise.all([
      post("logout-all", token),
      otherNode.inject({
        method: "POST",
        url: "/api/v1/auth/switch",
        headers: { authorization: `Bearer ${token}` },
        payload: { tenant: null },
      }),
    ]);
    if (switched.statusCode === 200) {
      await expect.poll(() => statusOnOther(switched.json().token), soon).toBe(401);
      expect(await refresh(switched.json().refresh_token)).toBe(401);
    }
    expect(await status((await logInAgain(account)).token)).toBe(200);
  });
});

describe("one's own sessions", () => {
  it("are listed, newest first, with where they came from", async () => {
    const { account, token } = await people.newAccount();
    const other = await logInAgain(account);
    const { items, next_cursor } = await sessionsOf(token);
    expect(next_cursor).toBeNull();
    expect(items.map((item: { id: string }) => item.id)).toEqual([
      sidOf(other.token),
      sidOf(token),
    ]);
    expect(items[1]).toMatchObject({
      kind: "token",
      ip: "127.0.0.1",
      user_agent: expect.any(String),
      current: true,
      impersonated: false,
    });
    expect(items[0]).toMatchObject({ current: false });
    await post("logout", other.token);
    expect((await sessionsOf(token)).items).toHaveLength(1);
    await post("logout-all", token);
    const again = await logInAgain(account);
    expect((await sessionsOf(again.token)).items).toMatchObject([{ current: true }]);
  });

  it("are listed in pages", async () => {
    const { account, token } = await people.newAccount();
    await logInAgain(account);
    const first = await people.get("/api/v1/auth/sessions?limit=1", { token });
    const url = `/api/v1/auth/sessions?limit=1&cursor=${first.body.next_cursor}`;
    const second = await people.get(url, { token });
    expect(second.body).toMatchObject({ items: [{ id: sidOf(token) }], next_cursor: null });
  });

  it("can be ended one by one; anybody else's is like one that does not exist", async () => {
    const tenant = await people.newTenant();
    const { user, token } = await people.register(tenant);
    const other = await people.logIn(tenant, user.email);
    const colleague = await people.register(tenant);
    const account = await people.newAccount();
    const end = (id: string) => people.delete(`/api/v1/auth/sessions/${id}`, { token });
    const refused = await Promise.all([
      end(sidOf(colleague.token)),
      end(sidOf(account.token)),
      end(unknownId),
    ]);
    for (const { status: code, body } of refused) {
      expect([code, body.code]).toEqual([404, "session_not_found"]);
    }
    expect([await status(colleague.token), await status(account.token)]).toEqual([200, 200]);
    expect((await end(sidOf(other.token).toUpperCase())).status).toBe(204);
    expect(await status(other.token)).toBe(401);
    await expect.poll(() => statusOnOther(other.token), soon).toBe(401);
    expect(await status(token)).toBe(200);
  });
});

it("a node that can't hear of it refuses ended sessions within a second, and hears again", async () => {
  const { token } = await people.newAccount();
  const deaf = await people.openNode();
  const statusOnDeaf = async () => {
    const headers = { authorization: `Bearer ${token}` };
    return (await deaf.inject({ url: "/api/v1/auth/me", headers })).statusCode;
  };
  try {
    expect(await statusOnDeaf()).toBe(200);
    await people.app.withPlatform("a test", async ({ control }) => {
      // All nodes lose their listener in the moment in which the session ends.
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where query = 'listen insulae' and datname = current_database()`.execute(control);
      await sql`update control.sessions set ended_at = now() where id = ${sidOf(token)}`.execute(
        control,
      );
    });
    await expect.poll(statusOnDeaf, { timeout: 1_500, interval: 10 }).toBe(401);
  } finally {
    await deaf.close();
  }
});

it("what nobody can come back to is deleted, and what has just ended is kept", async () => {
  const [past, ended, open] = [
    await people.newAccount(),
    await people.newAccount(),
    await people.newAccount(),
  ];
  await people.app.withPlatform("a test", async ({ control }) => {
    const set = (token: string, change: string) =>
      sql`update control.sessions set ${sql.raw(change)} where id = ${sidOf(token)}`.execute(
        control,
      );
    await set(past.token, "expires_at = now() - interval '25 hours'");
    await set(ended.token, "ended_at = now() - interval '24 hours'");
    const sessions = createSessions({
      control,
      refreshTokens: createRefreshTokens(createSecrets(testMasterSecret)),
      refreshTtlSeconds: 900,
      accessTtlSeconds: 900,
      onEnded: () => undefined,
    });
    await sessions.sweep();
    const left = await control
      .selectFrom("control.sessions")
      .select("id")
      .where(
        "id",
        "in",
        [past, ended, open].map(({ token }) => sidOf(token)),
      )
      .orderBy("id")
      .execute();
    expect(left.map(({ id }) => id)).toEqual([sidOf(ended.token), sidOf(open.token)]);
  });
});
