import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { dnsUnavailable } from "../../kernel/net/dns.ts";
import { createTestApp } from "../../testing/index.ts";
import { makeCertificate } from "../../testing/test-certificates.ts";

let app: App;
/** What the DNS says. */
const txt = new Map<string, string[]>();
let dnsDown = false;
const dns = {
  async txt(name: string) {
    if (dnsDown) throw dnsUnavailable();
    return txt.get(name) ?? [];
  },
};

const password = "a-Fine-passphrase-7";

async function call(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  {
    token,
    tenant,
    host,
    body,
  }: { token?: string; tenant?: string; host?: string; body?: object } = {},
) {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(tenant !== undefined && { "x-tenant": tenant }),
      ...(host !== undefined && { host }),
    },
    ...(body && { payload: body }),
  });
  return { status: reply.statusCode, body: reply.body === "" ? undefined : reply.json() };
}

async function account(email: string): Promise<string> {
  const { body } = await call("POST", "/auth/register", { body: { email, password } });
  return body.access_token;
}

let acme: string;
let globex: string;
let admin: string;

beforeAll(async () => {
  app = await createTestApp({ dns, config: { baseDomain: "insulae.example" } });
  await app.ensureAdmin({ email: "admin@example.com", password });
  const login = { email: "admin@example.com", password };
  admin = (await call("POST", "/auth/login", { body: login })).body.access_token;
  acme = await account("acme@example.com");
  globex = await account("globex@example.com");
  await call("POST", "/tenants", { token: acme, body: { key: "acme", name: "Acme" } });
  await call("POST", "/tenants", { token: globex, body: { key: "globex", name: "Globex" } });
});

afterAll(() => app?.close());
beforeEach(() => {
  txt.clear();
  dnsDown = false;
});

const claim = (token: string, tenant: string, hostname: string) =>
  call("POST", `/tenants/${tenant}/hosts`, { token, body: { hostname } });
const verify = (token: string, tenant: string, hostname: string) =>
  call("POST", `/tenants/${tenant}/hosts/${hostname}/verify`, { token });

/** Publishes what the claim asks for. */
async function publish(token: string, tenant: string, hostname: string): Promise<void> {
  const { status, body } = await claim(token, tenant, hostname);
  expect(status, JSON.stringify(body)).toBe(202);
  const { name, value } = body.verification;
  txt.set(name, [...(txt.get(name) ?? []), value]);
}

/** The tenant that a host leads to, as a log-in there says. */
async function tenantAt(host: string): Promise<string | undefined> {
  const credentials = { body: { email: "acme@example.com", password } };
  const inAcme = await call("POST", "/auth/login", { host, ...credentials });
  if (inAcme.body.tenant) return inAcme.body.tenant.key;
  const body = { email: "globex@example.com", password };
  return (await call("POST", "/auth/login", { host, body })).body.tenant?.key;
}

/** Whether a selector for the tenant is refused at the host, as it is where the host is another's. */
async function isRouted(host: string): Promise<boolean> {
  const reply = await call("POST", "/auth/login", {
    host,
    tenant: "globex",
    body: { email: "nobody@example.com", password },
  });
  return reply.status === 403;
}

describe("a host that an owner claims", () => {
  test("is routed when the DNS shows its record, and not before", async () => {
    const made = await claim(acme, "acme", "Shop.Acme.example.");
    expect(made.status).toBe(202);
    expect(made.body).toMatchObject({
      hostname: "shop.acme.example",
      status: "pending",
      verification: { name: "_insulae.shop.acme.example", type: "TXT" },
      certificate: null,
    });
    expect(await isRouted("shop.acme.example")).toBe(false);

    const early = await verify(acme, "acme", "shop.acme.example");
    expect([early.status, early.body.code]).toEqual([409, "domain_not_proven"]);
    expect(await isRouted("shop.acme.example")).toBe(false);

    txt.set("_insulae.shop.acme.example", ["v=spf1 -all", made.body.verification.value]);
    const proven = await verify(acme, "acme", "shop.acme.example");
    expect(proven.body).toMatchObject({ status: "active" });
    expect(await isRouted("shop.acme.example")).toBe(true);
    expect(await tenantAt("shop.acme.example")).toBe("acme");
  });

  test("is not proven by another tenant's record", async () => {
    await publish(globex, "globex", "both.example");
    expect((await claim(acme, "acme", "both.example")).status).toBe(202);
    expect((await verify(acme, "acme", "both.example")).body.code).toBe("domain_not_proven");
    expect(await isRouted("both.example")).toBe(false);
  });

  test("is nobody's while others only claim it: whoever proves it has it", async () => {
    expect((await claim(globex, "globex", "squatted.example")).status).toBe(202);
    await publish(acme, "acme", "squatted.example");
    expect((await verify(acme, "acme", "squatted.example")).status).toBe(200);
    expect(await tenantAt("squatted.example")).toBe("acme");
  });

  test("stays with the tenant that has proven it for as long as its record is there", async () => {
    await publish(acme, "acme", "sold.example");
    await verify(acme, "acme", "sold.example");
    await publish(globex, "globex", "sold.example");
    const early = await verify(globex, "globex", "sold.example");
    expect([early.status, early.body.code]).toEqual([409, "host_taken"]);
    expect(await isRouted("sold.example")).toBe(true);

    txt.set("_insulae.sold.example", (txt.get("_insulae.sold.example") ?? []).slice(1));
    expect((await verify(globex, "globex", "sold.example")).status).toBe(200);
    expect(await tenantAt("sold.example")).toBe("globex");
    expect((await call("GET", "/tenants/acme", { token: acme })).body.hosts).not.toContain(
      "sold.example",
    );
  });

  test("stays with the tenant that the platform gave it to, whatever the DNS says", async () => {
    await app.hosts.register("given.example", { tenant: "acme" });
    await publish(globex, "globex", "given.example");
    expect((await verify(globex, "globex", "given.example")).body.code).toBe("host_taken");
  });

  test("that is kept for a tenant to come is not proven away", async () => {
    await app.hosts.register("kept.example", { tenant: "somebody-else" });
    await publish(globex, "globex", "kept.example");
    expect((await verify(globex, "globex", "kept.example")).body.code).toBe("host_taken");
  });

  test("that another tenant has left is the one's who proves it, without the other's certificate", async () => {
    const tls = await makeCertificate({ hosts: ["left.example"] });
    await app.hosts.register("left.example", { tls });
    await app.tenants.register("leaver", { hosts: ["left.example"] });
    await app.tenants.unregister("leaver");
    await publish(globex, "globex", "left.example");
    const verified = await verify(globex, "globex", "left.example");
    expect([verified.status, verified.body.certificate]).toEqual([200, null]);
    expect(await tenantAt("left.example")).toBe("globex");
  });

  test("keeps its token when it is claimed again, and loses it when it is given up", async () => {
    const first = await claim(acme, "acme", "again.example");
    const second = await claim(acme, "acme", "again.example");
    expect(second.body.verification).toEqual(first.body.verification);
    const path = "/tenants/acme/hosts/again.example";
    expect((await call("DELETE", path, { token: acme })).status).toBe(204);
    expect((await verify(acme, "acme", "again.example")).status).toBe(404);
    const third = await claim(acme, "acme", "again.example");
    expect(third.body.verification).not.toEqual(first.body.verification);
  });

  test("is as it was while the DNS can't be asked", async () => {
    await publish(acme, "acme", "silent.example");
    dnsDown = true;
    expect((await verify(acme, "acme", "silent.example")).body.code).toBe("dns_unavailable");
    expect(await isRouted("silent.example")).toBe(false);
  });

  test.each([
    ["globex.insulae.example", "reserved_host"],
    ["globex.localhost", "invalid_domain"],
    ["localhost", "invalid_domain"],
    ["127.0.0.1", "invalid_domain"],
    ["[::1]", "invalid_domain"],
    ["intranet", "invalid_domain"],
    ["printer.local", "invalid_domain"],
    ["0x7f.1", "invalid_domain"],
    ["a b.example", "invalid_host"],
    ["user@evil.example", "invalid_host"],
    ["*.x.org", "invalid_host"],
  ])("is not %s (%s)", async (hostname, code) => {
    const { status, body } = await claim(acme, "acme", hostname);
    expect([status, body.code]).toEqual([400, code]);
    expect(JSON.stringify(body)).not.toContain("header");
  });
});

describe("the hosts of a tenant", () => {
  test("are none of another owner's business", async () => {
    await publish(acme, "acme", "private.example");
    const path = "/tenants/acme/hosts";
    for (const reply of [
      await call("GET", path, { token: globex }),
      await claim(globex, "acme", "intruder.example"),
      await verify(globex, "acme", "private.example"),
      await call("DELETE", `${path}/private.example`, { token: globex }),
      await call("PUT", `${path}/private.example/certificate`, {
        token: globex,
        body: { certificate: "x", private_key: "x" },
      }),
    ]) {
      expect([reply.status, reply.body.code]).toEqual([404, "tenant_not_found"]);
    }
    expect((await call("GET", path)).status).toBe(401);
  });

  test("get a certificate once they are active, and nobody else's do", async () => {
    await publish(acme, "acme", "tls.example");
    const { cert, key } = await makeCertificate({ hosts: ["tls.example"] });
    const body = { certificate: cert, private_key: key };
    const path = "/hosts/tls.example/certificate";
    expect((await call("PUT", `/tenants/acme${path}`, { token: acme, body })).status).toBe(404);
    await verify(acme, "acme", "tls.example");
    expect((await call("PUT", `/tenants/globex${path}`, { token: globex, body })).status).toBe(404);
    const given = await call("PUT", `/tenants/acme${path}`, { token: acme, body });
    expect(given.body.certificate).toMatchObject({ expires_at: expect.any(String) });
    expect((await call("DELETE", `/tenants/acme${path}`, { token: acme })).status).toBe(204);
    expect((await call("DELETE", `/tenants/acme${path}`, { token: acme })).status).toBe(404);
  });

  test("registered by the platform's administrators are routed at once", async () => {
    const made = await claim(admin, "acme", "at-once.example");
    expect(made.status).toBe(201);
    expect(made.body.hosts).toContain("at-once.example");
    expect(await isRouted("at-once.example")).toBe(true);
    const listed = await call("GET", "/tenants/acme/hosts", { token: acme });
    expect(listed.body.items).toContainEqual({
      hostname: "at-once.example",
      status: "active",
      verification: null,
      certificate: null,
    });
  });
});
