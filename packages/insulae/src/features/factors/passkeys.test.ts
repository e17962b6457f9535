import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { createAuthenticator, type Lies } from "./authenticator-fixture.ts";
import { auth, logIn, secondFactor } from "./factors-fixture.ts";

const origin = "http://localhost";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ config: { baseUrl: origin, appUrl: origin } });
});
afterAll(() => people.close());

type Authenticator = ReturnType<typeof createAuthenticator>;

/** Registers a passkey for whoever is signed in. */
async function register(token: string, authenticator: Authenticator, lies: Lies = {}) {
  const begun = await people.post(`${auth}/factors/passkey`, { token });
  expect(begun.status, begun.text).toBe(200);
  const passkey = authenticator.create(begun.body, lies);
  return people.post(`${auth}/factors`, { token, body: { passkey, name: "Phone" } });
}

async function userWithPasskey(counts = true) {
  const tenant = await people.newTenant();
  const { user, token } = await people.register(tenant);
  const authenticator = createAuthenticator(origin, counts);
  const added = await register(token, authenticator);
  expect(added.status, added.text).toBe(201);
  return { tenant, user, authenticator, token: added.body.session.access_token as string };
}

const options = async (tenant?: Tenant) =>
  (
    await people.post(`${auth}/passkey/options`, {
      body: { ...(tenant && { tenant: tenant.key }) },
    })
  ).body;
const logInBy = (passkey: object, tenant?: Tenant) =>
  people.post(`${auth}/passkey`, { body: { passkey, ...(tenant && { tenant: tenant.key }) } });

describe("a passkey", () => {
  it("is asked for without attestation, discoverable, verified, and once per authenticator", async () => {
    const { token, authenticator, user } = await userWithPasskey();
    const { body } = await people.post(`${auth}/factors/passkey`, { token });
    expect(body).toMatchObject({
      rp: { id: "localhost" },
      attestation: "none",
      excludeCredentials: [{ id: authenticator.id }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    });
    expect(body.user.id).not.toContain(user.email);
  });

  it("logs in alone, as two factors, without a name", async () => {
    const { user, authenticator } = await userWithPasskey();
    const asked = await options();
    expect(asked).toMatchObject({ rpId: "localhost", userVerification: "required" });
    expect(asked.allowCredentials).toBeUndefined();
    const reply = await logInBy(authenticator.get(asked));
    expect(reply.status, reply.text).toBe(200);
    expect(reply.body.user.id).toBe(user.id);
    expect(decodeJwt(reply.body.access_token).amr).toEqual(["hwk", "mfa"]);
  });

  it("logs in to a tenant that takes no passwords, which it may be since there is one", async () => {
    const { tenant, user, authenticator } = await userWithPasskey();
    const { token } = await people.newOwner(tenant);
    const body = { settings: { password_login: "off" } };
    expect(await people.patch(`/api/v1/tenants/${tenant.id}`, { token, body })).toMatchObject({
      status: 200,
    });
    expect(await logIn(people, user.email, tenant)).toMatchObject({ status: 401 });
    const reply = await logInBy(authenticator.get(await options(tenant)), tenant);
    expect(reply.status, reply.text).toBe(200);
  });

  it("logs in to a tenant that asks for a second factor", async () => {
    const { tenant, authenticator } = await userWithPasskey();
    await people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } });
    const reply = await logInBy(authenticator.get(await options(tenant)), tenant);
    expect(reply.status, reply.text).toBe(200);
  });

  it("of an account logs in to its tenants, and to no other", async () => {
    const tenant = await people.newTenant();
    const foreign = await people.newTenant();
    const { account, token } = await people.newAccount();
    await people.makeOwner(tenant, account);
    const authenticator = createAuthenticator(origin);
    expect((await register(token, authenticator)).status).toBe(201);
    const here = await logInBy(authenticator.get(await options(tenant)), tenant);
    expect([here.status, here.body.tenant?.key]).toEqual([200, tenant.key]);
    const elsewhere = await logInBy(authenticator.get(await options(foreign)), foreign);
    expect([elsewhere.status, elsewhere.body.code]).toEqual([401, "invalid_passkey"]);
    const anywhere = await logInBy(authenticator.get(await options()));
    expect(anywhere.body.tenant.key).toBe(tenant.key);
  });

  it("is a second factor after a password, without a PIN if need be", async () => {
    const { tenant, user, authenticator } = await userWithPasskey();
    const first = (await logIn(people, user.email, tenant)).body;
    expect(first.methods).toEqual(["passkey", "recovery_code"]);
    expect(first.passkey.allowCredentials).toMatchObject([{ id: authenticator.id }]);
    const passkey = authenticator.get(first.passkey, { userVerified: false });
    const reply = await secondFactor(people, first.mfa_token, { passkey });
    expect(reply.status, reply.text).toBe(200);
    expect(decodeJwt(reply.body.access_token).amr).toEqual(["pwd", "hwk", "mfa"]);
  });

  it("of somebody who was switched off, or whose tenant was suspended, logs nobody in", async () => {
    const one = await userWithPasskey();
    const owner = await people.newOwner(one.tenant);
    const off = { token: owner.token, body: { is_active: false } };
    expect((await people.patch(`/api/v1/users/${one.user.id}`, off)).status).toBe(200);
    const other = await userWithPasskey();
    await people.suspend(other.tenant);
    for (const { authenticator } of [one, other]) {
      const reply = await logInBy(authenticator.get(await options()));
      expect([reply.status, reply.body.code]).toEqual([401, "invalid_passkey"]);
    }
  });

  it("is registered only under the id that it logs in with, in unpadded base64url", async () => {
    const { token } = await people.register(await people.newTenant());
    const authenticator = createAuthenticator(origin);
    const add = async (change: (id: string) => string) => {
      const begun = (await people.post(`${auth}/factors/passkey`, { token })).body;
      const passkey = authenticator.create(begun);
      const id = change(passkey.id);
      return people.post(`${auth}/factors`, {
        token,
        body: { passkey: { ...passkey, id, rawId: id } },
      });
    };
    const padded = await add((id) => `${id}=`);
    expect([padded.status, padded.body.code]).toEqual([400, "validation_failed"]);
    // The same bytes: of the last character's six bits, two are left over.
    const other = await add((id) => {
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      return id.slice(0, -1) + digits[digits.indexOf(id.slice(-1)) + 1];
    });
    expect([other.status, other.body.code]).toEqual([401, "wrong_factor"]);
    expect((await add((id) => id)).status).toBe(201);
    const answer = authenticator.get(await options());
    for (const part of ["id", "rawId"]) {
      expect((await logInBy({ ...answer, [part]: `${answer.id}=` })).status).toBe(400);
    }
    const userHandle = `${answer.response.userHandle}==`;
    expect(
      (await logInBy({ ...answer, response: { ...answer.response, userHandle } })).status,
    ).toBe(400);
    expect((await logInBy(answer)).status).toBe(200);
  });

  it("stays on one device, or may be copied, for good", async () => {
    const statusOf = async (authenticator: Authenticator, lies: Lies) =>
      (await logInBy(authenticator.get(await options(), lies))).status;
    const one = await userWithPasskey();
    expect(await statusOf(one.authenticator, { backup: "done" })).toBe(401);
    expect(await statusOf(one.authenticator, {})).toBe(200);

    const { token, user } = await people.register(await people.newTenant());
    const synced = createAuthenticator(origin);
    expect((await register(token, synced, { backup: "eligible" })).status).toBe(201);
    expect(await statusOf(synced, { backup: "done" })).toBe(200);
    expect(await statusOf(synced, {})).toBe(401);

    // One from before it was noted.
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.factors")
        .set({ backup_eligible: null })
        .where("subject_id", "=", user.id)
        .execute(),
    );
    expect(await statusOf(synced, { backup: "done" })).toBe(200);
    expect(await statusOf(synced, {})).toBe(401);
  });

  it("that counts nothing is good again and again", async () => {
    const { authenticator } = await userWithPasskey(false);
    for (let count = 0; count < 2; count++) {
      expect((await logInBy(authenticator.get(await options()))).status).toBe(200);
    }
  });

  it("is not registered for two people", async () => {
    const { authenticator } = await userWithPasskey();
    const { token } = await people.register(await people.newTenant());
    const reply = await register(token, authenticator);
    expect([reply.status, reply.body.code]).toEqual([401, "wrong_factor"]);
  });
});

const hostile: readonly (readonly [string, Lies])[] = [
  ["of another page", { origin: "https://evil.example" }],
  ["of a page of a subdomain", { origin: "http://evil.localhost" }],
  ["of another relying party", { rpId: "evil.example" }],
  ["of another kind", { type: "webauthn.other" }],
  ["in another site's frame", { crossOrigin: true }],
  ["without anybody there", { userPresent: false }],
  ["without a PIN or a finger", { userVerified: false }],
  ["to a made-up challenge", { challenge: Buffer.alloc(32, 1).toString("base64url") }],
];

describe("an answer to a log-in", () => {
  it.each([...hostile, ["for another user", { userHandle: "AAAA" }] as const])(
    "%s is refused",
    async (_name, lies) => {
      const { authenticator } = await userWithPasskey();
      const reply = await logInBy(authenticator.get(await options(), lies));
      expect([reply.status, reply.body.code]).toEqual([401, "invalid_passkey"]);
      expect((await logInBy(authenticator.get(await options()))).status).toBe(200);
    },
  );

  it("is good once, also ten times at once, and if the authenticator counts nothing", async () => {
    const { authenticator } = await userWithPasskey(false);
    const passkey = authenticator.get(await options());
    const replies = await Promise.all(Array.from({ length: 10 }, () => logInBy(passkey)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await logInBy(passkey)).status).toBe(401);
  });

  it.each([0, 1])("whose counter went back to %d is refused", async (counter) => {
    const { authenticator } = await userWithPasskey();
    expect((await logInBy(authenticator.get(await options()))).status).toBe(200);
    const reply = await logInBy(authenticator.get(await options(), { counter }));
    expect(reply.body.code).toBe("invalid_passkey");
    expect((await logInBy(authenticator.get(await options()))).status).toBe(200);
  });

  it("by somebody else's passkey with this one's id is refused", async () => {
    const { authenticator } = await userWithPasskey();
    const thief = createAuthenticator(origin);
    const passkey = {
      ...thief.get(await options()),
      id: authenticator.id,
      rawId: authenticator.id,
    };
    expect((await logInBy(passkey)).body.code).toBe("invalid_passkey");
  });

  it("with a changed signature or data is refused", async () => {
    const { authenticator } = await userWithPasskey();
    for (const part of ["signature", "authenticatorData", "clientDataJSON"] as const) {
      const passkey = authenticator.get(await options());
      const bytes = Buffer.from(passkey.response[part], "base64url");
      bytes[bytes.length - 2] = (bytes.at(-2) ?? 0) ^ 1;
      const response = { ...passkey.response, [part]: bytes.toString("base64url") };
      expect((await logInBy({ ...passkey, response })).status, part).toBe(401);
    }
  });

  it("to the challenge of something else is refused", async () => {
    const { tenant, user, authenticator, token } = await userWithPasskey();
    const mfa = (await logIn(people, user.email, tenant)).body;
    const registration = (await people.post(`${auth}/factors/passkey`, { token })).body;
    const again = (await people.post(`${auth}/reauthenticate/passkey`, { token })).body;
    for (const { challenge } of [mfa.passkey, registration, again]) {
      const passkey = authenticator.get({ challenge, rpId: "localhost" });
      expect((await logInBy(passkey)).body.code).toBe("invalid_passkey");
    }
    const toLogIn = authenticator.get(await options());
    const reply = await secondFactor(people, mfa.mfa_token, { passkey: toLogIn });
    expect(reply.body.code).toBe("wrong_factor");
  });

  it("after the challenge has expired is refused", async () => {
    const { authenticator } = await userWithPasskey();
    const asked = await options();
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.one_time_tokens")
        .set({ expires_at: new Date(0) })
        .where("purpose", "=", "passkey-log-in")
        .execute(),
    );
    expect((await logInBy(authenticator.get(asked))).body.code).toBe("invalid_passkey");
  });
});

describe("a second factor", () => {
  it("by another subject's passkey is refused", async () => {
    const one = await userWithPasskey();
    const other = await userWithPasskey();
    const first = (await logIn(people, one.user.email, one.tenant)).body;
    const passkey = other.authenticator.get(first.passkey);
    const reply = await secondFactor(people, first.mfa_token, { passkey });
    expect([reply.status, reply.body.code]).toEqual([401, "wrong_factor"]);
  });

  it("is not the answer to another log-in of the same person", async () => {
    const { tenant, user, authenticator } = await userWithPasskey();
    const before = (await logIn(people, user.email, tenant)).body;
    const now = (await logIn(people, user.email, tenant)).body;
    const passkey = authenticator.get(before.passkey);
    const reply = await secondFactor(people, now.mfa_token, { passkey });
    expect(reply.body.code).toBe("wrong_factor");
  });
});

describe("a registration", () => {
  const packed = { format: "packed", statement: new Map([["sig", new Uint8Array(8)]]) };
  it.each([
    ...hostile,
    ["whose empty attestation was edited", { statement: packed.statement }] as const,
    ["whose attestation is forged", packed] as const,
    ["with an attestation nobody knows", { format: "unknown" }] as const,
  ])("%s is refused", async (_name, lies) => {
    const { token } = await people.register(await people.newTenant());
    const reply = await register(token, createAuthenticator(origin), lies);
    expect([reply.status, reply.body.code]).toEqual([401, "wrong_factor"]);
    const listed = await people.get(`${auth}/factors`, { token });
    expect(listed.body).toEqual({ items: [], recovery_codes_left: 0 });
  });

  it("to a challenge that somebody else was given, or a second time, is refused", async () => {
    const one = await people.register(await people.newTenant());
    const other = await people.register(await people.newTenant());
    const begun = (await people.post(`${auth}/factors/passkey`, { token: one.token })).body;
    const passkey = createAuthenticator(origin).create(begun);
    const add = (token: string) => people.post(`${auth}/factors`, { token, body: { passkey } });
    expect((await add(other.token)).body.code).toBe("wrong_factor");
    const added = await add(one.token);
    expect(added.status).toBe(201);
    expect((await add(added.body.session.access_token)).body.code).toBe("wrong_factor");
  });
});

describe("a tenant's host", () => {
  const at = (tenant: Tenant) => {
    const host = `${tenant.slug}.localhost`;
    return async (path: string, payload: object, token?: string) => {
      const reply = await people.app.inject({
        method: "POST",
        url: `${auth}${path}`,
        headers: {
          host,
          origin: `http://${host}`,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        payload,
      });
      return { status: reply.statusCode, body: reply.json() };
    };
  };

  it("is a site of its own for users with a password of their own", async () => {
    const tenant = await people.newTenant();
    const other = await people.newTenant();
    const { user, token } = await people.register(tenant);
    const here = at(tenant);
    const begun = (await here("/factors/passkey", {}, token)).body;
    expect(begun.rp.id).toBe(`${tenant.slug}.localhost`);
    const authenticator = createAuthenticator(`http://${tenant.slug}.localhost`);
    const added = await here("/factors", { passkey: authenticator.create(begun) }, token);
    expect(added.status, JSON.stringify(added.body)).toBe(201);
    const asked = (await here("/passkey/options", {})).body;
    const reply = await here("/passkey", { passkey: authenticator.get(asked) });
    expect([reply.status, reply.body.user?.id]).toEqual([200, user.id]);
    const again = (await here("/passkey/options", {})).body;
    const elsewhere = await at(other)("/passkey", { passkey: authenticator.get(again) });
    expect([elsewhere.status, elsewhere.body.code]).toEqual([401, "invalid_passkey"]);
  });

  it("is no site of accounts: whoever owns it could take them over from there", async () => {
    const tenant = await people.newTenant();
    const { account } = await people.newAccount();
    await people.makeOwner(tenant, account);
    const { token } = await people.logIn(tenant, account.email);
    const begun = (await at(tenant)("/factors/passkey", {}, token)).body;
    expect(begun.rp.id).toBe("localhost");
    const passkey = createAuthenticator(`http://${tenant.slug}.localhost`).create(begun);
    const added = await at(tenant)("/factors", { passkey }, token);
    expect(added.body.code).toBe("wrong_factor");
  });
});
