/** Whom somebody becomes who comes from a provider, and who stays out. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { openTestProvider } from "./provider-fixture.ts";
import { type Configured, signInTools } from "./sign-in-fixture.ts";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

/** The id of the user that it ends as, or the error. */
const outcome = async (at: Configured): Promise<string> => {
  const { error, body } = await tools.signIn(at);
  return error ?? body.user?.id ?? body.code;
};
const isId = expect.stringMatching(/^[0-9a-f-]{36}$/);
const personHas = (at: Configured, more: object) => {
  at.provider.person = { ...tools.newPerson(), ...more };
};
const setUser = ({ tenant }: Configured, id: string, change: string) =>
  people.onTenant(tenant, (db) => db.query(`update users set ${change} where id = $1`, [id]));
const users = ({ tenant }: Configured, email: unknown) =>
  people.onTenant(tenant, (db) =>
    db.query<{ id: string; email_verified: boolean }>(
      "select id, email_verified from users where email = $1",
      [email],
    ),
  );
const identitiesOf = async (at: Configured, user: string) =>
  (await people.get(`/api/v1/users/${user}/identities`, at.owner)).body.items;
const give = async (at: Configured, user: string, permission: string) => {
  const role = await people.post("/api/v1/roles", {
    token: at.owner.token,
    body: { name: permission, permissions: [permission] },
  });
  const given = await people.post(`/api/v1/users/${user}/roles`, {
    token: at.owner.token,
    body: { role: role.body.id },
  });
  expect(given.status, given.text).toBeLessThan(300);
};

describe("somebody who comes for the first time", () => {
  it("is the user whose verified e-mail is theirs, and is so from then on", async () => {
    const at = await tools.configure({ create_users: false });
    const { user } = await people.register(at.tenant, { email: at.provider.person.email });
    await setUser(at, user.id, "email_verified = true");
    expect(await outcome(at)).toBe(user.id);
    at.provider.person.email = people.newEmail();
    expect(await outcome(at)).toBe(user.id);
    expect(await identitiesOf(at, user.id)).toMatchObject([
      { issuer: at.provider.issuer, subject: at.provider.person.sub },
    ]);
    const linked = (await tools.auditOf(at)).filter(({ action }) => action === "identity.linked");
    expect(linked).toHaveLength(1);
  });

  it("is the user who was added without a password, whose e-mail is verified by that", async () => {
    const at = await tools.configure({ create_users: false });
    const { user } = await people.addUser(at.tenant, at.owner, {
      email: at.provider.person.email,
    });
    expect(await outcome(at)).toBe(user.id);
    expect(await users(at, user.email)).toEqual([{ id: user.id, email_verified: true }]);
  });

  it.each([
    [{ given_name: "Grace", family_name: "Hopper", name: "G. Hopper" }, ["Grace", "Hopper"]],
    [{ given_name: undefined, name: "Grace Hopper" }, ["Grace Hopper", ""]],
    [{ given_name: undefined, family_name: "Hopper", name: "Grace Hopper" }, ["", "Hopper"]],
    [{ given_name: "\u3164", name: "Grace Hopper" }, ["Grace Hopper", ""]],
    [{ given_name: undefined, name: "Gra\u202ece" }, ["", ""]],
    [{ given_name: undefined, name: "G".repeat(101) }, ["", ""]],
  ])("has the names that the provider gives: %j", async (claims, names) => {
    const at = await tools.configure();
    personHas(at, claims);
    const id = await outcome(at);
    const { body } = await people.get(`/api/v1/users/${id}`, at.owner);
    expect([body.first_name, body.last_name]).toEqual(names);
  });

  it("is found whatever the case of their e-mail", async () => {
    const at = await tools.configure();
    const { user } = await people.addUser(at.tenant, at.owner, { email: people.newEmail() });
    personHas(at, { email: user.email.toUpperCase() });
    expect(await outcome(at)).toBe(user.id);
  });

  it("is not the one who registered with their e-mail and a password (pre-registration)", async () => {
    const at = await tools.configure();
    const attacker = await people.register(at.tenant, { email: at.provider.person.email });
    expect(await outcome(at)).toBe("link_refused");
    expect(await identitiesOf(at, attacker.user.id)).toEqual([]);
    await setUser(at, attacker.user.id, "email_verified = true");
    expect(await outcome(at)).toBe(attacker.user.id);
  });

  it("is not the one who came from another provider and was given their e-mail since", async () => {
    const at = await tools.configure();
    const first = await outcome(at);
    const victim = people.newEmail();
    const body = { email: victim };
    expect((await people.patch(`/api/v1/users/${first}`, { ...at.owner, body })).status).toBe(200);
    const other = await openTestProvider();
    try {
      other.person = { ...tools.newPerson(), email: victim };
      const id = await tools.add({ ...at, provider: other });
      expect(await outcome({ ...at, id, provider: other })).toBe("link_refused");
    } finally {
      await other.close();
    }
  });

  it("is not the one who is somebody else at the same provider, until that is undone", async () => {
    const at = await tools.configure();
    const { email } = at.provider.person;
    const id = await outcome(at);
    personHas(at, { email });
    expect(await outcome(at)).toBe("identity_conflict");
    const [identity] = await identitiesOf(at, id);
    const url = `/api/v1/users/${id}/identities/${identity.id}`;
    expect((await people.delete(url, at.owner)).status).toBe(204);
    expect(await outcome(at)).toBe(id);
  });

  it("stays out where the provider may make no users, and nobody has their e-mail", async () => {
    const at = await tools.configure({ create_users: false });
    expect(await outcome(at)).toBe("no_such_user");
    expect(await users(at, at.provider.person.email)).toEqual([]);
  });

  it("is a user of their own in each tenant", async () => {
    const [a, b] = await Promise.all([tools.configure(), tools.configure()]);
    const id = await outcome(a);
    b.provider.person = { ...a.provider.person };
    expect(await outcome(b)).not.toBe(id);
    expect(await people.get(`/api/v1/users/${id}/identities`, b.owner)).toMatchObject({
      body: { items: [] },
    });
  });
});

describe("an e-mail", () => {
  it.each([
    ["is not verified", { email_verified: false }],
    ["is said to be by a text", { email_verified: "true" }],
    ["is not said to be", { email_verified: undefined }],
    ["is missing", { email: undefined }],
    ["is none", { email: "nobody" }],
    ["is two", { email: "a@one.example,b@two.example" }],
  ])("that %s lets nobody in, not even who has one already", async (_, more) => {
    const at = await tools.configure();
    personHas(at, more);
    expect(await outcome(at)).toBe("outside_email_unverified");
    at.provider.person = tools.newPerson();
    const { sub } = at.provider.person;
    expect(await outcome(at)).toEqual(isId);
    personHas(at, { sub, ...more });
    expect(await outcome(at)).toBe("outside_email_unverified");
  });

  it.each([
    "acme.example.org",
    "evil-acme.example",
    "sub.acme.example",
    "acme.example.",
    "example",
  ])("of the domain %s is not of acme.example", async (domain) => {
    const at = await tools.configure({ allowed_domains: ["ACME.example"] });
    personHas(at, { email: `ada@${domain}` });
    expect(["email_domain_refused", "outside_email_unverified"]).toContain(await outcome(at));
    personHas(at, { email: `"x@acme.example"@${domain}` });
    expect(["email_domain_refused", "outside_email_unverified"]).toContain(await outcome(at));
    personHas(at, { email: "Ada@Acme.Example" });
    expect(await outcome(at)).toEqual(isId);
  });

  it("of a domain that is no longer allowed keeps out who came before", async () => {
    const at = await tools.configure();
    expect(await outcome(at)).toEqual(isId);
    await people.patch(`/api/v1/identity-providers/${at.id}`, {
      token: at.owner.token,
      body: { allowed_domains: ["acme.example"] },
    });
    expect(await outcome(at)).toBe("email_domain_refused");
  });

  it("without a word on it is believed where the tenant says so, of its domains only", async () => {
    const at = await tools.configure({ allowed_domains: ["acme.example"], trust_email: true });
    personHas(at, { email: "ada@acme.example", email_verified: undefined });
    expect(await outcome(at)).toEqual(isId);
    personHas(at, { email: "cleo@acme.example", email_verified: "true" });
    expect(await outcome(at)).toEqual(isId);
    for (const email_verified of [false, "false", null, 1]) {
      personHas(at, { email: "bob@acme.example", email_verified });
      expect(await outcome(at)).toBe("outside_email_unverified");
    }
    personHas(at, { email: "eve@other.example", email_verified: undefined });
    expect(await outcome(at)).toBe("email_domain_refused");
  });
});

describe("a provider is no way in for", () => {
  it("an owner, nor for who became one since", async () => {
    const at = await tools.configure();
    const password = people.password;
    const { user } = await people.addUser(at.tenant, at.owner, { role: "owner", password });
    await setUser(at, user.id, "email_verified = true");
    personHas(at, { email: user.email });
    expect(await outcome(at)).toBe("own_way_only");
    expect(await identitiesOf(at, user.id)).toEqual([]);
    at.provider.person = tools.newPerson();
    const id = await outcome(at);
    const body = { role: "owner" };
    expect((await people.patch(`/api/v1/users/${id}`, { ...at.owner, body })).status).toBe(200);
    expect(await outcome(at)).toBe("own_way_only");
  });

  it("a user who is linked to an account", async () => {
    const at = await tools.configure();
    const { account } = await people.newAccount();
    await people.makeOwner(at.tenant, account);
    await people.onTenant(at.tenant, (db) =>
      db.query("update users set role = 'user', email_verified = true where account_id = $1", [
        account.id,
      ]),
    );
    personHas(at, { email: account.email });
    expect(await outcome(at)).toBe("own_way_only");
  });

  it("who has, by a role of the tenant's own, what administrators have not", async () => {
    const at = await tools.configure();
    const { user } = await people.addUser(at.tenant, at.owner, {});
    personHas(at, { email: user.email });
    expect(await outcome(at)).toBe(user.id);
    await give(at, user.id, "users:write");
    expect(await outcome(at)).toBe(user.id);
    await give(at, user.id, "tenants:manage");
    expect(await outcome(at)).toBe("own_way_only");
  });

  it("who has been switched off, by e-mail or by identity", async () => {
    const at = await tools.configure();
    const { user } = await people.addUser(at.tenant, at.owner, {});
    personHas(at, { email: user.email });
    await setUser(at, user.id, "is_active = false");
    expect(await outcome(at)).toBe("user_inactive");
    await setUser(at, user.id, "is_active = true");
    expect(await outcome(at)).toBe(user.id);
    await setUser(at, user.id, "is_active = false");
    expect(await outcome(at)).toBe("user_inactive");
  });
});

describe("who somebody is at a provider", () => {
  it("is shown to administrators, and undone by who may change the user", async () => {
    const at = await tools.configure();
    const id = await outcome(at);
    const password = people.password;
    const by = async (role: string) =>
      (await people.addUser(at.tenant, at.owner, { role, password })).token;
    const [manager, admin] = [await by("manager"), await by("admin")];
    const url = `/api/v1/users/${id}/identities`;
    expect((await people.get(url, { token: manager })).status).toBe(403);
    const { body } = await people.get(url, { token: admin });
    expect(body.items).toHaveLength(1);
    const one = `${url}/${body.items[0].id}`;
    expect((await people.delete(one, { token: manager })).status).toBe(403);
    await give(at, id, "tenants:manage");
    const refused = await people.delete(one, { token: admin });
    expect(refused.body.code).toBe("permission_not_held");
    expect((await people.delete(one, at.owner)).status).toBe(204);
    expect((await people.delete(one, at.owner)).body.code).toBe("identity_not_found");
    expect((await tools.auditOf(at)).at(-1)).toMatchObject({ action: "identity.unlinked" });
  });
});

describe("where passwords are no way in", () => {
  const auth = "/api/v1/auth";
  const logIn = ({ tenant }: Configured, email: string, password = people.password) =>
    people.post(`${auth}/login`, { tenant: tenant.key, body: { email, password } });
  const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;
  const switchOff = ({ tenant, owner }: Pick<Configured, "tenant" | "owner">) =>
    people.patch(`/api/v1/tenants/${tenant.id}`, {
      token: owner.token,
      body: { settings: { registration: "open", password_login: "off" } },
    });
  const configure = async () => {
    const at = await tools.configure();
    const { user, token } = await people.register(at.tenant);
    expect(await switchOff(at)).toMatchObject({ status: 200 });
    return { ...at, user, token };
  };

  it("a right one is answered like a wrong one, and the provider's users come in", async () => {
    const at = await configure();
    const [right, wrong] = [
      await logIn(at, at.user.email),
      await logIn(at, at.user.email, "wrong password"),
    ];
    expect(right.status).toBe(401);
    expect(withoutId(right.body)).toEqual(withoutId(wrong.body));
    const entries = (await tools.auditOf(at)).filter(({ outcome }) => outcome === "failed");
    expect(entries.map(({ detail }) => detail.reason)).toEqual([
      "password_login_off",
      "invalid_password",
    ]);
    expect(await outcome(at)).toEqual(isId);
    // The sessions from before stay.
    expect(await people.get(`${auth}/me`, { token: at.token })).toMatchObject({ status: 200 });
  });

  it("a new one leads nowhere, and neither does a registration", async () => {
    const at = await configure();
    const { email } = at.user;
    await people.post(`${auth}/password-reset-request`, { tenant: at.tenant.key, body: { email } });
    const token = await people.tokenTo(email, 2);
    const password = "another horse, another battery";
    await people.post(`${auth}/password-reset`, { body: { token, password } });
    expect(await logIn(at, email, password)).toMatchObject({ status: 401 });
    const body = { email: people.newEmail(), password };
    const registered = await people.post(`${auth}/register`, { tenant: at.tenant.key, body });
    expect(registered).toMatchObject({ status: 403, body: { code: "registration_closed" } });
  });

  it("owners keep theirs, also when the provider is gone", async () => {
    const at = await configure();
    await people.delete(`/api/v1/identity-providers/${at.id}`, at.owner);
    expect(await logIn(at, at.owner.account.email)).toMatchObject({ status: 200 });
  });

  it("an invitation lets in; afterwards its account comes as far as the core by its password", async () => {
    const at = await configure();
    const email = people.newEmail();
    await people.post("/api/v1/invitations", {
      token: at.owner.token,
      body: { email, role: "user" },
    });
    const body = { token: await people.tokenTo(email), password: people.password };
    const accepted = await people.post("/api/v1/invitations/accept", { body });
    expect(accepted).toMatchObject({ status: 201, body: { tenant: { id: at.tenant.id } } });
    expect(await logIn(at, email)).toMatchObject({ status: 401 });
    const core = await people.post(`${auth}/login`, { body: { email, password: people.password } });
    expect(core).toMatchObject({ status: 200, body: { tenant: null } });
    const { token } = core.body;
    const switched = await people.post(`${auth}/switch`, {
      token,
      body: { tenant: at.tenant.key },
    });
    expect(switched).toMatchObject({ status: 403, body: { code: "password_login_off" } });
  });

  it("nobody makes them so while there is no other: neither a provider nor a passkey", async () => {
    const at = await tools.configure({ enabled: false });
    const refused = { status: 409, body: { code: "no_other_way_in" } };
    expect(await switchOff(at)).toMatchObject(refused);
    const settings = { password_login: "off" };
    const made = await people.post("/api/v1/tenants", {
      body: { key: `no_password_${Date.now()}`, name: "No password", settings },
    });
    expect(made).toMatchObject(refused);
    await people.patch(`/api/v1/identity-providers/${at.id}`, {
      token: at.owner.token,
      body: { enabled: true },
    });
    expect(await switchOff(at)).toMatchObject({ status: 200 });
    expect(await switchOff(at)).toMatchObject({ status: 200 });
  });
});
