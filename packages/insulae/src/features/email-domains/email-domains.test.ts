import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { uuidV5 } from "../../kernel/lib/uuid.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { dnsUnavailable } from "../../kernel/net/dns.ts";
import { addMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";

let app: App;
let acme: Tenant;
let owner: TestMember;
/** What the DNS says. */
const txt = new Map<string, string[]>();
let dnsDown = false;
const password = "a-Fine-passphrase-7";

beforeAll(async () => {
  app = await createTestApp({
    dns: {
      async txt(name) {
        if (dnsDown) throw dnsUnavailable();
        return txt.get(name) ?? [];
      },
    },
  });
  const settings = { registration: "open" };
  acme = await app.tenants.create({ key: "acme", name: "Acme", settings });
  owner = await addMember(app, acme, "owner");
});

afterAll(() => app?.close());
beforeEach(() => {
  txt.clear();
  dnsDown = false;
});

async function call(method: "GET" | "POST", path: string, token?: string, body?: object) {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    ...(body && { payload: body }),
  });
  return { status: reply.statusCode, body: reply.body === "" ? undefined : reply.json() };
}

/** An account with this address, perhaps verified. */
async function account(email: string, verified: boolean): Promise<string> {
  const { body, status } = await call("POST", "/auth/register", undefined, { email, password });
  expect(status).toBe(201);
  await app.withPlatform("as the link in the mail would", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ email_verified: verified })
      .where("email", "=", email)
      .execute(),
  );
  return body.access_token;
}

/** Claims the domain and publishes its record. */
async function prove(domain: string, more: object = {}): Promise<void> {
  const claimed = await owner.call("POST", "/email-domains", { domain, ...more });
  expect(claimed.status, claimed.text).toBe(201);
  const { name, value } = claimed.body.verification;
  txt.set(name, [value]);
  expect((await owner.call("POST", `/email-domains/${domain}/verify`)).status).toBe(200);
}

const join = async (token: string, tenant = "acme") => {
  const { status, body } = await call("POST", `/tenants/${tenant}/join`, token);
  return body.code ?? status;
};

describe("somebody with an address in a tenant's verified domain", () => {
  test("joins, with the role that the domain gives, and signs in there", async () => {
    await prove("acme.example", { role: "viewer" });
    const token = await account("ada@acme.example", true);
    const joined = await call("POST", "/tenants/acme/join", token);
    expect(joined.status, JSON.stringify(joined.body)).toBe(201);
    expect(joined.body).toMatchObject({ tenant_id: acme.id, role: "viewer" });
    const switched = await call("POST", "/auth/switch", token, { tenant: "acme" });
    expect(switched.status, JSON.stringify(switched.body)).toBe(200);
    const contacts = await call("GET", "/contacts", switched.body.access_token);
    expect(contacts.status).toBe(200);
    expect(await join(token)).toBe("already_member");
    const log = await owner.call("GET", "/audit?action=membership.joined");
    expect(log.body.items).toHaveLength(1);
  });

  test("does not, while the address is not verified", async () => {
    await prove("strict.example");
    expect(await join(await account("eve@strict.example", false))).toBe("tenant_not_found");
  });

  test("does not, while the domain is only claimed", async () => {
    await owner.call("POST", "/email-domains", { domain: "claimed.example" });
    expect(await join(await account("eve@claimed.example", true))).toBe("tenant_not_found");
  });

  test("does not, when the record is gone, or the DNS can't be asked", async () => {
    await prove("lapsed.example");
    const token = await account("bob@lapsed.example", true);
    dnsDown = true;
    expect(await join(token)).toBe("dns_unavailable");
    dnsDown = false;
    txt.clear();
    expect(await join(token)).toBe("domain_not_proven");
    const again = await owner.call("POST", "/email-domains/lapsed.example/verify");
    expect(again.body.code).toBe("domain_not_proven");
    expect(await join(token)).toBe("tenant_not_found");
  });

  test("does not, when the domain was removed", async () => {
    await prove("removed.example");
    expect((await owner.call("DELETE", "/email-domains/removed.example")).status).toBe(204);
    expect(await join(await account("bob@removed.example", true))).toBe("tenant_not_found");
  });

  test("goes on where a crash left a user without a membership", async () => {
    await prove("crash.example");
    const token = await account("bob@crash.example", true);
    expect(await join(token)).toBe(201);
    await app.withPlatform("the second step did not happen", ({ control }) =>
      control
        .deleteFrom("control.memberships")
        .where("tenant_id", "=", acme.id)
        .where("account_id", "=", (account) =>
          account
            .selectFrom("control.accounts")
            .select("id")
            .where("email", "=", "bob@crash.example"),
        )
        .execute(),
    );
    expect(await join(token)).toBe(201);
    const users = await owner.call("GET", "/users?email=bob@crash.example");
    expect(users.body.items).toHaveLength(1);
  });

  test.each(["eve@sub.tight.example", "eve@nottight.example", "tight.example@other.example"])(
    "is not %s",
    async (email) => {
      if (email.includes("@sub")) await prove("tight.example");
      expect(await join(await account(email, true))).toBe("tenant_not_found");
    },
  );

  test("learns nothing of tenants that are not theirs to join", async () => {
    const token = await account("eve@nowhere.example", true);
    const [known, unknown] = await Promise.all(
      ["acme", "nobody"].map((key) => call("POST", `/tenants/${key}/join`, token)),
    );
    expect({ ...known?.body, request_id: "" }).toEqual({ ...unknown?.body, request_id: "" });
    expect((await call("POST", "/tenants/acme/join")).status).toBe(401);
  });
});

describe("an e-mail domain", () => {
  test.each([
    ["gmail.com", "public_email_domain"],
    ["GMX.de.", "public_email_domain"],
    ["localhost", "invalid_domain"],
    ["127.0.0.1", "invalid_domain"],
    ["a@b.example", "invalid_host"],
    ["*.x.org", "invalid_host"],
  ])("is not %s (%s)", async (domain, code) => {
    const { status, body } = await owner.call("POST", "/email-domains", { domain });
    expect([status, body.code]).toEqual([400, code]);
    expect(JSON.stringify(body)).not.toContain("header");
  });

  test("is for owners to claim, gives no more than the role user, and is one tenant's", async () => {
    const admin = await addMember(app, acme, "admin");
    const claimed = await admin.call("POST", "/email-domains", { domain: "admins.example" });
    expect(claimed.status).toBe(403);
    const body = { domain: "roles.example", role: "admin" };
    expect((await owner.call("POST", "/email-domains", body)).status).toBe(400);

    await prove("mine.example");
    const settings = { registration: "open" };
    const other = await app.tenants.create({ key: "other", name: "Other", settings });
    const stranger = await addMember(app, other, "owner");
    expect((await stranger.call("GET", "/email-domains")).body.items).toEqual([]);
    expect((await stranger.call("DELETE", "/email-domains/mine.example")).status).toBe(404);
    const theirs = await stranger.call("POST", "/email-domains", { domain: "mine.example" });
    expect(theirs.status).toBe(201);
    const verified = await stranger.call("POST", "/email-domains/mine.example/verify");
    expect(verified.body.code).toBe("domain_not_proven");
    expect(await join(await account("eve@mine.example", true), "other")).toBe("tenant_not_found");
  });
});

test("a key claims a domain only with a role whose permissions it holds", async () => {
  const keyWith = async (scopes: readonly string[]) =>
    (await call("POST", "/api-keys", owner.token, { name: "a key", scopes })).body.key;
  const narrow = await keyWith(["tenants:manage"]);
  for (const body of [{}, { role: "user" }, { role: "viewer" }]) {
    const claim = { domain: "narrow.example", ...body };
    const refused = await call("POST", "/email-domains", narrow, claim);
    expect(refused.body).toMatchObject({ status: 403, code: "permission_not_held" });
  }
  const { permissions } = (await call("GET", `/roles/${uuidV5("viewer")}`, owner.token)).body;
  const wide = await keyWith(["tenants:manage", ...permissions]);
  const claim = { domain: "narrow.example", role: "viewer" };
  expect((await call("POST", "/email-domains", wide, claim)).status).toBe(201);
});
