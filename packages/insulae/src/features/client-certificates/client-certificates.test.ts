import { once } from "node:events";
import { Agent, request } from "node:https";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp } from "../../app/app.ts";
import type { App } from "../../app/app-api.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { addMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp } from "../../testing/test-app.ts";
import { makeCertificate, type TestCertificate } from "../../testing/test-certificates.ts";

let app: TestApp;
let acme: Tenant;
let globex: Tenant;
let admin: TestMember;
let rival: TestMember;

const acmeHost = "api.acme.example";
const globexHost = "api.globex.example";

beforeAll(async () => {
  app = await createTestApp();
  const open = { settings: { registration: "open" } };
  acme = await app.tenants.create({ key: "acme", name: "Acme", ...open });
  globex = await app.tenants.create({ key: "globex", name: "Globex", ...open });
  const tls = await makeCertificate({ hosts: ["*.acme.example"] });
  for (const host of [acmeHost, "two.acme.example"]) {
    await app.hosts.register(host, { tenant: "acme", tls });
  }
  await app.hosts.register(globexHost, {
    tenant: "globex",
    tls: await makeCertificate({ hosts: [globexHost] }),
  });
  admin = await addMember(app, acme, "admin");
  rival = await addMember(app, globex, "admin");
  await app.listen({ port: 0, host: "127.0.0.1", tlsPort: 0 });
});

afterAll(() => app?.close());

interface Asked {
  readonly client?: TestCertificate;
  readonly method?: string;
  readonly path?: string;
  readonly name?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
  readonly at?: App;
}

/** Over a real TLS connection. */
async function ask(host: string, asked: Asked = {}) {
  const {
    client,
    method = "GET",
    path = "/contacts",
    name = host,
    headers,
    agent,
    at = app,
  } = asked;
  const sent = request({
    host: "127.0.0.1",
    port: at.tlsPort(),
    method,
    path: `/api/v1${path}`,
    servername: name,
    headers: { host, ...headers },
    rejectUnauthorized: false,
    agent: agent ?? false,
    ...(client && { cert: client.cert, key: client.key }),
  });
  sent.end();
  const [response] = await once(sent, "response");
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  const body = text === "" ? undefined : JSON.parse(text);
  return { status: response.statusCode as number, code: body?.code as string | undefined, body };
}

const outcome = async (host: string, asked: Asked) => {
  const { status, code } = await ask(host, asked);
  return code ?? status;
};

async function register(
  { cert }: Pick<TestCertificate, "cert">,
  more: object = { scopes: ["contacts:read"] },
  by: TestMember = admin,
): Promise<string> {
  const body = { name: "A machine", certificate: cert, ...more };
  const reply = await by.call("POST", "/client-certificates", body);
  expect(reply.status, reply.text).toBe(201);
  return reply.body.id;
}

describe("a machine with a registered certificate", () => {
  test("acts with the permissions that it was given, and no more", async () => {
    const client = await makeCertificate({ subject: "CN=machine" });
    await register(client);
    expect(await outcome(acmeHost, { client })).toBe(200);
    expect(await outcome(acmeHost, { client, path: "/users" })).toBe("permission_denied");
    expect(await outcome(acmeHost, { client, path: "/auth/me" })).toBe("personal_only");
    expect(await outcome(acmeHost, {})).toBe("authentication_required");
  });

  test("is in the audit log as the certificate that it showed", async () => {
    const client = await makeCertificate({ subject: "CN=janitor" });
    const id = await register(client, { scopes: ["roles:write"] });
    const role = await admin.call("POST", "/roles", { name: "Cleaners" });
    const path = `/roles/${role.body.id}`;
    expect(await outcome(acmeHost, { client, method: "DELETE", path })).toBe(204);
    const [entry] = await app.withTenant(
      acme,
      ({ db }) => db.sql`select * from audit_log where actor_id = ${id}`,
    );
    expect(entry).toMatchObject({
      action: "role.deleted",
      actor_kind: "certificate",
      actor_id: id,
    });
  });

  test("says which tenant is meant where no host does", async () => {
    const client = await makeCertificate();
    await register(client);
    expect(await outcome("localhost", { client, name: acmeHost })).toBe("misdirected_request");
    expect(await outcome("two.acme.example", { client })).toBe(200);
    const elsewhere = await ask("elsewhere.acme.example", { client }).catch(String);
    expect(elsewhere).toContain("alert");
  });

  test("without scopes names its tenant and does not act", async () => {
    const client = await makeCertificate();
    await register(client, {});
    expect(await outcome(acmeHost, { client })).toBe("authentication_required");
    const headers = { authorization: `Bearer ${admin.token}` };
    expect(await outcome(acmeHost, { client, headers })).toBe(200);
    const foreign = { authorization: `Bearer ${rival.token}` };
    expect(await outcome(globexHost, { client, headers: foreign })).toBe("tenant_access_denied");
    expect(await outcome(globexHost, { headers: foreign })).toBe(200);
  });

  test("is refused at another tenant's host and header, and that is in the audit log", async () => {
    const client = await makeCertificate();
    const id = await register(client);
    expect(await outcome(globexHost, { client })).toBe("tenant_access_denied");
    const headers = { "x-tenant": "globex" };
    expect(await outcome(acmeHost, { client, headers })).toBe("tenant_access_denied");
    await vi.waitFor(async () => {
      const entries = await app.withPlatform("a look", ({ control }) =>
        control
          .selectFrom("control.audit_log")
          .select("detail")
          .where("action", "=", "auth.cross_tenant_refused")
          .execute(),
      );
      expect(entries.map(({ detail }) => detail)).toContainEqual({
        user: `certificate:${id}`,
        user_tenant: "acme",
        request_tenant: "globex",
      });
    });
  });

  test("is refused where the name of the handshake is not the request's, even in one tenant", async () => {
    const client = await makeCertificate();
    await register(client);
    const { status, code } = await ask("two.acme.example", { client, name: acmeHost });
    expect([status, code]).toEqual([421, "misdirected_request"]);
  });

  test("is refused once its certificate is removed, on every node and on an open connection", async () => {
    const node = await createApp({
      env: { PUBLIC_URL: app.config.baseUrl },
      config: app.config,
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => node.close());
    await node.listen({ port: 0, host: "127.0.0.1", tlsPort: 0 });
    const client = await makeCertificate();
    const id = await register(client);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const asked = { client, agent, at: node };
    await expect.poll(() => outcome(acmeHost, asked)).toBe(200);
    expect((await rival.call("DELETE", `/client-certificates/${id}`)).status).toBe(404);
    expect(await outcome(acmeHost, asked)).toBe(200);

    expect((await admin.call("DELETE", `/client-certificates/${id}`)).status).toBe(204);
    expect(await outcome(acmeHost, { client })).toBe("invalid_client_certificate");
    await vi.waitFor(async () =>
      expect(await outcome(acmeHost, asked)).toBe("invalid_client_certificate"),
    );
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
  });

  test("is the same after its session was resumed", async () => {
    const client = await makeCertificate();
    const id = await register(client);
    // An agent keeps sessions, and this one no connections.
    const agent = new Agent({ keepAlive: false });
    expect(await outcome(acmeHost, { client, agent })).toBe(200);
    expect(await outcome(acmeHost, { client, agent })).toBe(200);
    await admin.call("DELETE", `/client-certificates/${id}`);
    expect(await outcome(acmeHost, { client, agent })).toBe("invalid_client_certificate");
  });

  test("may do no more than the user who registered it may now", async () => {
    const someone = await addMember(app, acme, "admin");
    const client = await makeCertificate();
    await register(client, { scopes: ["users:read", "contacts:read"] }, someone);
    expect(await outcome(acmeHost, { client, path: "/users" })).toBe(200);
    const owner = await addMember(app, acme, "owner");
    const demoted = await owner.call("PATCH", `/users/${someone.userId}`, { role: "viewer" });
    expect(demoted.status, demoted.text).toBe(200);
    await vi.waitFor(async () =>
      expect(await outcome(acmeHost, { client, path: "/users" })).toBe("permission_denied"),
    );
    await owner.call("PATCH", `/users/${someone.userId}`, { is_active: false });
    await expect.poll(() => outcome(acmeHost, { client })).toBe("invalid_token");
  });
});

describe("a certificate that", () => {
  test("nobody registered is refused, whatever it calls itself", async () => {
    await register(await makeCertificate({ subject: "CN=machine, O=Acme" }));
    const selfMade = await makeCertificate({ subject: "CN=machine, O=Acme" });
    expect(await outcome(acmeHost, { client: selfMade })).toBe("invalid_client_certificate");
  });

  test("has ended is refused, and can't be registered", async () => {
    const ca = await makeCertificate({ authority: true, subject: "CN=Ending CA" });
    await register(ca, { kind: "authority", scopes: ["contacts:read"] });
    const client = await makeCertificate({ issuer: ca, from: -2, to: -1 });
    expect(await outcome(acmeHost, { client })).toBe("invalid_client_certificate");
    const body = { name: "Old", certificate: client.cert };
    const refused = await admin.call("POST", "/client-certificates", body);
    expect(refused.body.code).toBe("unfit_certificate");
  });

  test("another tenant registered as well acts at each one's host, and says nothing alone", async () => {
    const client = await makeCertificate();
    await register(client);
    await register(client, { scopes: ["contacts:read"] }, rival);
    expect(await outcome(acmeHost, { client })).toBe(200);
    expect(await outcome(globexHost, { client })).toBe(200);
    const again = await admin.call("POST", "/client-certificates", {
      name: "Again",
      certificate: client.cert,
    });
    expect([again.status, again.body.code]).toEqual([409, "client_certificate_exists"]);
  });
});

describe("an authority that a tenant registered", () => {
  let ca: TestCertificate;
  beforeAll(async () => {
    ca = await makeCertificate({ authority: true, subject: "CN=Fleet CA, O=Acme" });
    const required = { required_subject: ["OU=Fleet"], scopes: ["contacts:read"] };
    await register(ca, { kind: "authority", ...required });
  });

  test("vouches for what it issued to the subjects that are required", async () => {
    const fleet = { subject: "CN=truck 7, OU=Fleet", issuer: ca };
    expect(await outcome(acmeHost, { client: await makeCertificate(fleet) })).toBe(200);
    const forClients = await makeCertificate({ ...fleet, usage: "client" });
    expect(await outcome(acmeHost, { client: forClients })).toBe(200);
  });

  const others: readonly (readonly [string, () => Promise<TestCertificate>])[] = [
    ["another subject", () => makeCertificate({ subject: "CN=truck 7, OU=Office", issuer: ca })],
    ["a server", () => makeCertificate({ subject: "CN=x, OU=Fleet", issuer: ca, usage: "server" })],
    [
      "an authority",
      () => makeCertificate({ subject: "CN=x, OU=Fleet", issuer: ca, authority: true }),
    ],
    [
      "what an authority below it issued",
      async () => {
        const below = await makeCertificate({ subject: "CN=below", issuer: ca, authority: true });
        return makeCertificate({ subject: "CN=x, OU=Fleet", issuer: below });
      },
    ],
    [
      "what another one of its name issued",
      async () => {
        const other = await makeCertificate({ subject: "CN=Fleet CA, O=Acme", authority: true });
        return makeCertificate({ subject: "CN=x, OU=Fleet", issuer: other });
      },
    ],
  ];
  test.each(others)("does not vouch for %s", async (_, make) => {
    expect(await outcome(acmeHost, { client: await make() })).toBe("invalid_client_certificate");
  });

  test("does not vouch for its tenant's machines elsewhere", async () => {
    const client = await makeCertificate({ subject: "CN=truck 8, OU=Fleet", issuer: ca });
    expect(await outcome(globexHost, { client })).toBe("tenant_access_denied");
  });
});

describe("the header of a proxy that ended TLS", () => {
  const inHeader = ({ certificate }: TestCertificate) => ({
    "client-cert": `:${Buffer.from(certificate.rawData).toString("base64")}:`,
  });
  const get = async (at: App, headers: Record<string, string>, remoteAddress = "127.0.0.1") => {
    const url = "/api/v1/contacts";
    const reply = await at.inject({ method: "GET", url, headers, remoteAddress });
    return reply.statusCode === 200 ? 200 : reply.json().code;
  };

  const startBehind = async (config: { readonly trustClientCert: boolean }) => {
    const behind = await createApp({
      env: { PUBLIC_URL: app.config.baseUrl },
      config: { ...app.config, trustProxy: ["10.0.0.0/8"], ...config },
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => behind.close());
    return behind;
  };

  test("counts for nothing where nobody says that proxies verify it: they pass on what clients write", async () => {
    const client = await makeCertificate();
    await register(client);
    const behind = await startBehind({ trustClientCert: false });
    expect(await get(behind, inHeader(client), "10.1.2.3")).toBe("authentication_required");
  });

  test("counts where the proxy is trusted with it, and from nobody else", async () => {
    const client = await makeCertificate();
    await register(client);
    const behind = await startBehind({ trustClientCert: true });
    expect(await get(behind, inHeader(client), "10.1.2.3")).toBe(200);
    expect(await get(behind, { ...inHeader(client), host: globexHost }, "10.1.2.3")).toBe(
      "tenant_access_denied",
    );
    const foreign = inHeader(await makeCertificate());
    expect(await get(behind, foreign, "10.1.2.3")).toBe("invalid_client_certificate");
    for (const header of ["nonsense", "::", `${inHeader(client)["client-cert"]}, :AA==:`]) {
      const headers = { "client-cert": header, "x-tenant": "acme" };
      expect(await get(behind, headers, "10.1.2.3")).toBe("invalid_client_certificate");
    }
    expect(await get(behind, inHeader(client), "192.0.2.1")).toBe("authentication_required");
    expect(await get(app, inHeader(client))).toBe("authentication_required");
    const headers = inHeader(client);
    expect(await outcome(acmeHost, { headers })).toBe("authentication_required");
  });
});

describe("registering", () => {
  test("takes permissions that one holds, and no others", async () => {
    const { cert } = await makeCertificate();
    const body = { name: "Greedy", certificate: cert, scopes: ["tenants:manage"] };
    const refused = await admin.call("POST", "/client-certificates", body);
    expect([refused.status, refused.body.code]).toEqual([403, "permission_not_held"]);
    const user = await addMember(app, acme);
    const { status } = await user.call("POST", "/client-certificates", {
      name: "x",
      certificate: cert,
    });
    expect(status).toBe(403);
  });

  test("is for people: a machine makes no credential that outlives its own", async () => {
    const client = await makeCertificate();
    await register(client, { scopes: ["client-certificates:manage", "client-certificates:read"] });
    const path = "/client-certificates";
    expect(await outcome(acmeHost, { client, path })).toBe(200);
    expect(await outcome(acmeHost, { client, path, method: "POST" })).toBe("personal_only");
  });

  test("an authority takes one, and a certificate none", async () => {
    const [leaf, ca] = await Promise.all([makeCertificate(), makeCertificate({ authority: true })]);
    for (const [{ cert }, more] of [
      [leaf, { kind: "authority" }],
      [ca, {}],
      [leaf, { required_subject: ["O=Acme"] }],
      [{ cert: "no certificate" }, {}],
    ] as const) {
      const body = { name: "Wrong", certificate: cert, ...more };
      const refused = await admin.call("POST", "/client-certificates", body);
      expect([refused.status, refused.body.code]).toEqual([400, "unfit_certificate"]);
    }
  });

  test("is one tenant's: another does not see it", async () => {
    const id = await register(await makeCertificate());
    const ids = async (member: TestMember) =>
      (await member.call("GET", "/client-certificates")).body.items.map(
        (item: { id: string }) => item.id,
      );
    expect(await ids(admin)).toContain(id);
    expect(await ids(rival)).not.toContain(id);
  });
});
