/** Who configures providers, how, and which addresses the server asks for them. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { openTestProvider, testClient, visit } from "./provider-fixture.ts";
import { type Configured, signInTools } from "./sign-in-fixture.ts";

const path = "/api/v1/identity-providers";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

const withRole = async (at: Configured, role: string) => {
  const { password } = people;
  return (await people.addUser(at.tenant, at.owner, { role, password })).token;
};
const roleWith = async (at: Configured, permissions: string[]): Promise<string> =>
  (
    await people.post("/api/v1/roles", {
      token: at.owner.token,
      body: { name: permissions.join(" "), permissions },
    })
  ).body.id;
const bodyOf = ({ provider }: Configured, more: object = {}) => ({
  name: "More",
  issuer: provider.issuer,
  ...testClient,
  ...more,
});
/** What becomes of another provider: its status, or the error. */
const adding = async (at: Configured, more: object, token = at.owner.token) => {
  const { status, body } = await people.post(path, { token, body: bodyOf(at, more) });
  return body.code ?? status;
};
const changing = async (at: Configured, body: object, token = at.owner.token) => {
  const answer = await people.patch(`${path}/${at.id}`, { token, body });
  return answer.body.code ?? answer.status;
};
const sealedIn = (tenant: Tenant) =>
  people.onTenant(tenant, (db) =>
    db.query<{ id: string; sealed_secret: string }>(
      "select id, sealed_secret from identity_providers",
    ),
  );

describe("a tenant's providers", () => {
  it("are added, shown, changed and removed, and each of that is in the audit log", async () => {
    const at = await tools.configure();
    const { token } = at.owner;
    const url = `${path}/${at.id}`;
    const shown = await people.get(url, { token });
    expect(shown.body).toMatchObject({
      id: at.id,
      issuer: at.provider.issuer,
      client_id: testClient.client_id,
      scopes: ["openid", "email", "profile"],
      allowed_domains: [],
      trust_email: false,
      default_role: "user",
      role_mapping: null,
      enabled: true,
    });
    const [here, host] = shown.body.redirect_uris;
    const { baseUrl } = people.app.config;
    expect(here).toBe(`${baseUrl}/api/v1/auth/oidc/${at.id}/callback`);
    expect(new URL(host).hostname).toBe(`${at.tenant.slug}.localhost`);
    const body = { name: "Acme", allowed_domains: ["ACME.example", "acme.example"], scopes: [] };
    const changed = await people.patch(url, { token, body });
    expect(changed.body).toMatchObject({
      name: "Acme",
      allowed_domains: ["acme.example"],
      scopes: ["openid"],
      client_id: testClient.client_id,
    });
    expect((await people.get(path, { token })).body.items).toEqual([changed.body]);
    expect((await people.delete(url, { token })).status).toBe(204);
    expect((await people.get(url, { token })).body.code).toBe("identity_provider_not_found");
    expect((await people.patch(url, { token, body })).status).toBe(404);
    expect((await people.delete(url, { token })).status).toBe(404);
    const actions = (await tools.auditOf(at)).map(({ action }) => action);
    expect(actions.filter((action) => action.startsWith("identity_provider"))).toEqual([
      "identity_provider.created",
      "identity_provider.changed",
      "identity_provider.deleted",
    ]);
  });

  it("have secrets that are shown nowhere, and are stored sealed for their tenant", async () => {
    const [a, b] = await Promise.all([tools.configure(), tools.configure()]);
    const { token } = a.owner;
    const body = { client_secret: testClient.client_secret };
    const answers = await Promise.all([
      people.patch(`${path}/${a.id}`, { token, body }),
      people.get(path, { token }),
      people.get(`/api/v1/audit`, { token }),
    ]);
    const [row] = await sealedIn(a.tenant);
    for (const text of [...answers.map((answer) => answer.text), JSON.stringify(row)]) {
      expect(text).not.toContain(testClient.client_secret);
    }
    for (const { text } of answers) expect(text).not.toContain(row?.sealed_secret);
    expect((await tools.signIn(a)).error).toBeNull();
    // In another tenant's row it is nothing.
    await people.onTenant(b.tenant, (db) =>
      db.query("update identity_providers set sealed_secret = $1", [row?.sealed_secret]),
    );
    const { answer } = await tools.start(b);
    expect(answer.statusCode).toBe(502);
  });

  it("are configured by owners and administrators, in person, and by nobody else", async () => {
    const at = await tools.configure();
    const admin = await withRole(at, "admin");
    expect(await adding(at, {}, admin)).toBe(201);
    expect(await changing(at, { name: "B" }, admin)).toBe(200);
    const [manager, user, viewer] = await Promise.all(
      ["manager", "user", "viewer"].map((role) => withRole(at, role)),
    );
    for (const token of [manager, user, viewer]) {
      expect(await adding(at, {}, token)).toBe("permission_denied");
      expect((await people.get(path, { token: token ?? "" })).status).toBe(403);
    }
    // By a role of their own as well: a provider lets in administrators.
    const { user: found } = (await people.get("/api/v1/auth/me", { token: manager ?? "" })).body;
    const role = await roleWith(at, ["identity-providers:write", "identity-providers:read"]);
    await people.post(`/api/v1/users/${found.id}/roles`, {
      token: at.owner.token,
      body: { role },
    });
    expect((await people.get(path, { token: manager ?? "" })).status).toBe(200);
    expect(await adding(at, {}, manager)).toBe("administrators_only");
    expect(await changing(at, { name: "C" }, manager)).toBe("administrators_only");
    const removed = await people.delete(`${path}/${at.id}`, { token: manager ?? "" });
    expect(removed.body.code).toBe("administrators_only");
    const key = await people.post("/api/v1/api-keys", {
      token: at.owner.token,
      body: { name: "k", scopes: ["identity-providers:write"] },
    });
    const byKey = await people.app.inject({
      method: "PATCH",
      url: `${path}/${at.id}`,
      headers: { "x-api-key": key.body.key },
      payload: { name: "D" },
    });
    expect(byKey.statusCode).toBe(403);
  });

  it("are its own: tenant B cannot see, change, remove or use them", async () => {
    const [a, b] = await Promise.all([tools.configure(), tools.configure()]);
    const { token } = b.owner;
    const url = `${path}/${a.id}`;
    expect((await people.get(path, { token })).body.items).toMatchObject([{ id: b.id }]);
    for (const answer of [
      await people.get(url, { token }),
      await people.patch(url, { token, body: { name: "Mine" } }),
      await people.delete(url, { token }),
      await people.get(`/api/v1/auth/oidc/${a.id}/start?${start(b.tenant)}`),
    ]) {
      expect(answer.body.code).toBe("identity_provider_not_found");
    }
    expect((await tools.signIn(a)).error).toBeNull();
  });

  it("are at most twenty", async () => {
    const at = await tools.configure();
    await people.onTenant(at.tenant, (db) =>
      db.query(
        `insert into identity_providers (name, issuer, client_id, sealed_secret, scopes)
         select 'n', 'https://x.example', 'c', 's', '{}' from generate_series(1, 19)`,
      ),
    );
    expect(await adding(at, {})).toBe("too_many_identity_providers");
  });

  it("are changed and removed only as they were seen, where the client says so", async () => {
    const at = await tools.configure();
    const url = `${path}/${at.id}`;
    const headers = { authorization: `Bearer ${at.owner.token}` };
    const { etag } = (await people.app.inject({ url, headers })).headers;
    const send = async (method: "PATCH" | "DELETE") => {
      const payload = method === "PATCH" ? { name: "Changed" } : undefined;
      const answer = await people.app.inject({
        method,
        url,
        headers: { ...headers, "if-match": String(etag) },
        ...(payload && { payload }),
      });
      return answer.statusCode;
    };
    expect(await send("PATCH")).toBe(200);
    expect([await send("PATCH"), await send("DELETE")]).toEqual([412, 412]);
  });

  it("that are switched off or removed let nobody in, not even who is on the way", async () => {
    for (const how of ["off", "gone"]) {
      const at = await tools.configure();
      const { location, cookie } = await tools.begin(at);
      const back = await visit(at.provider, location);
      if (how === "off") expect(await changing(at, { enabled: false })).toBe(200);
      else await people.delete(`${path}/${at.id}`, at.owner);
      expect((await tools.finish(back, cookie)).error).toBe("identity_provider_not_found");
      expect((await tools.start(at)).answer.json().code).toBe("identity_provider_not_found");
    }
  });
});

const documentOf = async (issuer: string): Promise<object> =>
  fetch(`${issuer}/.well-known/openid-configuration`)
    .then((answer) => answer.text())
    .then(JSON.parse);
const productionNode = () => people.openNode({ env: "production", baseDomain: "example.com" });
const start = ({ key }: Tenant) =>
  new URLSearchParams({
    return_to: tools.returnTo,
    code_challenge: "a".repeat(43),
    tenant: key,
  });

describe("what a provider gives", () => {
  const mapping = (role: string) => ({
    role_mapping: { claim: ["groups"], values: [{ value: "staff", role }] },
  });

  it("is never an owner's, nor more than administrators have", async () => {
    const at = await tools.configure();
    const admin = await withRole(at, "admin");
    const [more, fit] = [
      await roleWith(at, ["tenants:manage"]),
      await roleWith(at, ["users:write"]),
    ];
    for (const token of [at.owner.token, admin]) {
      expect(await adding(at, mapping("owner"), token)).toBe("owner_not_mapped");
      expect(await adding(at, mapping("OWNER"), token)).toBe("owner_not_mapped");
      expect(await adding(at, mapping(more), token)).toBe("owner_not_mapped");
      expect(await adding(at, { default_role: "owner" }, token)).toBe("validation_failed");
      expect(await changing(at, mapping(more), token)).toBe("owner_not_mapped");
      expect(await changing(at, mapping("owner"), token)).toBe("owner_not_mapped");
      expect(await adding(at, mapping("admin"), token)).toBe(201);
      expect(await adding(at, mapping(fit.toUpperCase()), token)).toBe(201);
    }
  });

  it("is nothing that the tenant has not: another's role, or none", async () => {
    const [a, b] = await Promise.all([tools.configure(), tools.configure()]);
    for (const role of [await roleWith(b, ["users:read"]), "boss", a.id]) {
      expect(await adding(a, mapping(role))).toBe("role_not_found");
    }
  });

  it("is not trusted about e-mails of any domain", async () => {
    const at = await tools.configure();
    expect(await adding(at, { trust_email: true })).toBe("domains_required");
    expect(await changing(at, { trust_email: true })).toBe("domains_required");
    const trusted = { trust_email: true, allowed_domains: ["acme.example"] };
    expect(await changing(at, trusted)).toBe(200);
    expect(await changing(at, { allowed_domains: [] })).toBe("domains_required");
    for (const domain of ["acme_example", "ada@acme.example", "*.acme.example"]) {
      expect(await adding(at, { allowed_domains: [domain] })).toBe("invalid_email_domain");
    }
  });
});

describe("the address of a provider", () => {
  const inside = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://10.0.0.1/",
    "https://192.168.1.1:8443/realms/a",
    "https://169.254.169.254/latest",
    "https://[::1]/",
    "https://[fd00:ec2::254]/",
    "https://2130706433/",
  ];

  it.each(inside)("%s is in no public network, and is not asked", async (issuer) => {
    const node = await productionNode();
    onTestFinished(node.close);
    const at = await tools.configure();
    const ask = (method: "POST" | "PATCH", url: string, payload: object) =>
      node
        .inject({ method, url, payload, headers: { authorization: `Bearer ${at.owner.token}` } })
        .then((answer) => answer.json().code);
    expect(await ask("POST", path, bodyOf(at, { issuer }))).toBe("issuer_unusable");
    expect(await ask("PATCH", `${path}/${at.id}`, { issuer })).toBe("issuer_unusable");
  });

  it("may be this machine's in development, and in production not even for who is signing in", async () => {
    const at = await tools.configure();
    const node = await productionNode();
    onTestFinished(node.close);
    const asked = at.provider.asked.length;
    const answer = await node.inject({
      url: `/api/v1/auth/oidc/${at.id}/start?${start(at.tenant)}`,
    });
    expect(answer.json().code).toBe("provider_faulty");
    expect(at.provider.asked).toHaveLength(asked);
  });

  it.each([
    "ftp://acme.example",
    "https://user@acme.example",
    "https://acme.example/?a=b",
    "https://acme.example/#a",
    "javascript:alert(1)",
    "acme.example",
    "",
  ])("is not %s", async (issuer) => {
    expect(await adding(await tools.configure(), { issuer })).toBe("validation_failed");
  });

  it.each([
    ["another issuer than itself", { issuer: "https://issuer.example" }],
    ["no keys", { jwks_uri: undefined }],
    ["no way to sign that is safe", { id_token_signing_alg_values_supported: ["none", "HS256"] }],
  ])("is of no use where its document names %s", async (_, edit) => {
    const at = await tools.configure();
    const provider = await openTestProvider();
    onTestFinished(provider.close);
    const document = await documentOf(at.provider.issuer);
    const text = JSON.stringify(document).replaceAll(at.provider.issuer, provider.issuer);
    provider.instead = (_request, response) =>
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ ...JSON.parse(text), ...edit }));
    expect(await adding({ ...at, provider }, {})).toBe("issuer_unusable");
  });

  it("leads nowhere else: neither a redirect nor an address in its document is followed inside", async () => {
    const at = await tools.configure();
    const [redirecting, pointing] = [await openTestProvider(), await openTestProvider()];
    onTestFinished(redirecting.close);
    onTestFinished(pointing.close);
    redirecting.instead = (_, response) =>
      response.writeHead(302, { location: `${at.provider.issuer}/` }).end();
    expect(await adding({ ...at, provider: redirecting }, {})).toBe("issuer_unusable");
    const document = await documentOf(pointing.issuer);
    pointing.instead = (_, response) =>
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ ...document, token_endpoint: "http://169.254.169.254/token" }));
    const id = await tools.add({ ...at, provider: pointing });
    pointing.instead = undefined;
    expect(document).toMatchObject({ token_endpoint: `${pointing.issuer}/token` });
    pointing.person = tools.newPerson();
    expect(await tools.signIn({ ...at, id, provider: pointing })).toMatchObject({
      error: "provider_faulty",
    });
    expect(pointing.asked).not.toContain("/token");
  });

  it("that nobody answers at is 503, soon", async () => {
    const at = await tools.configure();
    const provider = await openTestProvider();
    await provider.close();
    expect(await adding({ ...at, provider }, {})).toBe("provider_unavailable");
  });
});

describe("the API reference", () => {
  it("says where sign-ins are redirects, and that each has a Location", async () => {
    const { paths } = (await people.get("/api-docs/openapi.json")).body;
    for (const step of ["start", "callback"]) {
      const { responses } = paths[`/api/v1/auth/oidc/{provider}/${step}`].get;
      expect(Object.keys(responses).filter((status) => /^[23]/.test(status))).toEqual(["302"]);
      expect(responses[302]).toEqual({
        description: "Redirect",
        headers: {
          Location: {
            description: "The address to go to.",
            required: true,
            schema: { type: "string", format: "uri" },
          },
        },
      });
    }
  });
});

describe("beginning a sign-in", () => {
  it("is limited as a log-in is", async () => {
    const { rateLimits } = people.app.config;
    const node = await people.openNode({ rateLimits: { ...rateLimits, credentials: 2 } });
    onTestFinished(node.close);
    const at = await tools.configure();
    const url = `/api/v1/auth/oidc/${at.id}/start?${start(at.tenant)}`;
    const answers = [];
    for (let i = 0; i < 3; i += 1) answers.push((await node.inject({ url })).statusCode);
    expect(answers).toEqual([302, 302, 429]);
  });
});
