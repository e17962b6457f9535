/** What a cache knew before it may have missed an announcement, it asks for again. */
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "./app.ts";
import { createEvents } from "./kernel/events.ts";
import { createSecrets } from "./kernel/secrets.ts";
import type { Tenant } from "./kernel/tenancy/tenant.ts";
import { fingerprintOf } from "./kernel/tls/certificate-pair.ts";
import { createClientCertificates } from "./kernel/tls/client-certificates.ts";
import { createHostCertificates } from "./kernel/tls/host-certificates.ts";
import { createTestApp } from "./testing/index.ts";
import { makeCertificate } from "./testing/test-certificates.ts";

let app: App;
let tenant: Tenant;
beforeAll(async () => {
  app = await createTestApp({ features: [] });
  tenant = await app.tenants.create({ key: "acme", name: "Acme" });
});
afterAll(() => app?.close());

/** Announcements that are heard, until the test says that some may have been missed. */
function announcements() {
  let forget = (): void => undefined;
  const follow = (forgetAll: () => void) => {
    forget = forgetAll;
    return () => true;
  };
  return { follow, missSome: () => forget() };
}

test("the events that somebody in a tenant wants", async () => {
  const { follow, missSome } = announcements();
  let wanted: string[] = [];
  const definition = { name: "note.added", summary: "", permission: "notes:read", schema: {} };
  const events = createEvents({
    features: [{ events: [definition as never] }],
    wanted: async () => wanted,
    record: async () => undefined,
    announce: async () => undefined,
    follow,
  }).of(tenant, {} as never);
  expect(await events.isWanted("note.added")).toBe(false);
  wanted = ["*"];
  expect(await events.isWanted("note.added")).toBe(false);
  missSome();
  expect(await events.isWanted("note.added")).toBe(true);
});

test("a host's certificate", async () => {
  const { follow, missSome } = announcements();
  const secrets = createSecrets("a master secret of more than 32 characters");
  const host = "shop.acme.example";
  await app.hosts.register(host);
  await app.withPlatform("a test", async ({ control }) => {
    const here = createHostCertificates({ control, secrets, follow });
    const elsewhere = createHostCertificates({ control, secrets, follow: () => () => true });
    expect(await here.contextFor(host)).toBeUndefined();
    await elsewhere.put(host, await makeCertificate({ hosts: [host] }));
    expect(await here.contextFor(host)).toBeUndefined();
    missSome();
    expect(await here.contextFor(host)).toBeDefined();
  });
});

test("the registrations of a client's certificate", async () => {
  const { follow, missSome } = announcements();
  const { cert } = await makeCertificate();
  const x509 = new X509Certificate(cert);
  const fingerprint = fingerprintOf(x509);
  const presented = { x509, fingerprint, notBefore: 0, notAfter: Date.now() + 86_400_000 };
  await app.withPlatform("a test", async ({ control }) => {
    const certificates = createClientCertificates({
      ...{ control, authority: { findUser: () => undefined }, follow },
    });
    expect(await certificates.find(presented)).toEqual([]);
    await control
      .insertInto("control.client_certificates")
      .values({
        ...{ tenant_id: tenant.id, name: "a machine", kind: "certificate", fingerprint },
        ...{ certificate: cert, subject: "CN=test", required_subject: [], user_id: null },
        ...{ scopes: [], not_before: new Date(0), not_after: new Date(presented.notAfter) },
      })
      .execute();
    expect(await certificates.find(presented)).toEqual([]);
    missSome();
    expect(await certificates.find(presented)).toMatchObject([{ tenantId: tenant.id }]);
  });
});
