/** A stranger makes certificates for nothing: how many signatures they cost is bounded. */
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createClientCertificates } from "../../kernel/identity/client-certificates.ts";
import { fingerprintOf } from "../../kernel/tls/certificate-pair.ts";
import { addMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { makeCertificate, type TestCertificate } from "../../testing/test-certificates.ts";

let app: App;
beforeAll(async () => {
  app = await createTestApp({ features: [] });
});
afterAll(() => app?.close());

const subject = "CN=Everybody CA";
const make = () => makeCertificate({ authority: true, subject });
const makeMany = (length: number) => Promise.all(Array.from({ length }, make));

const newAdmin = async (key: string) =>
  addMember(
    app,
    await app.tenants.create({ key, name: key, settings: { registration: "open" } }),
    "admin",
  );

test("a tenant registers four authorities of one subject, and no more until one is removed", async () => {
  const { call } = await newAdmin("four");
  const register = ({ cert }: TestCertificate) =>
    call("POST", "/client-certificates", { name: "x", certificate: cert, kind: "authority" });
  const replies = [];
  for (const each of await makeMany(5)) replies.push(await register(each));
  expect(replies.map(({ status }) => status)).toEqual([201, 201, 201, 201, 409]);
  expect(replies[4]?.body).toMatchObject({
    code: "too_many_client_certificates",
    detail: "A subject can have at most 4 certificate authorities. Remove one first.",
  });
  const id = replies[0]?.body.id;
  expect((await call("DELETE", `/client-certificates/${id}`)).status).toBe(204);
  expect((await register(await make())).status).toBe(201);
});

test("a certificate costs eight signatures at most, those of the named tenant first", async () => {
  const [crowd, acme] = [await newAdmin("crowd"), await newAdmin("acme")];
  const own = await make();
  const rowsOf = (tenantId: string, authorities: readonly TestCertificate[]) =>
    authorities.map(({ cert }) => ({
      ...{ tenant_id: tenantId as never, name: "x", kind: "authority" as const, subject },
      ...{ certificate: cert, fingerprint: fingerprintOf(new X509Certificate(cert)) },
      ...{ required_subject: [], user_id: null, scopes: [] },
      ...{ not_before: new Date(0), not_after: new Date(Date.now() + 86_400_000) },
    }));
  const rows = [...rowsOf(crowd.tenant.id, await makeMany(40)), ...rowsOf(acme.tenant.id, [own])];
  await app.withPlatform("test", async ({ control }) => {
    for (const row of rows) {
      await control.insertInto("control.client_certificates").values(row).execute();
    }
    const certificates = createClientCertificates({
      ...{ control, authority: { findUser: () => undefined }, follow: () => () => true },
    });
    const verify = vi.spyOn(X509Certificate.prototype, "verify");
    onTestFinished(() => verify.mockRestore());
    const find = async (issuer: TestCertificate, named?: string) => {
      const x509 = new X509Certificate((await makeCertificate({ subject: "CN=7", issuer })).cert);
      const [notBefore, notAfter] = [0, Date.now() + 1_000];
      verify.mockClear();
      const presented = { x509, fingerprint: fingerprintOf(x509), notBefore, notAfter };
      const found = await certificates.find(presented, named as never);
      return { tenants: found.map(({ tenantId }) => tenantId), checks: verify.mock.calls.length };
    };
    expect(await find(own, acme.tenant.id)).toEqual({ tenants: [acme.tenant.id], checks: 8 });
    expect(await find(await make(), acme.tenant.id)).toEqual({ tenants: [], checks: 8 });
    expect(await find(await make())).toEqual({ tenants: [], checks: 8 });
  });
});
