import { createTestApp, type TestAccount, type TestApp, testPassword } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { admin as administration } from "./admin.feature.ts";
import { settings } from "./settings.ts";
import { site } from "./site.feature.ts";

let app: TestApp;
let admin: TestAccount;

beforeAll(async () => {
  app = await createTestApp({ features: [site, administration], settings });
  admin = await app.createAdmin();
  for (const name of ["acme", "globex"]) {
    const made = await admin.absolute.post("/admin/tenants", {
      tenant_id: `tenant-${name}`,
      hosts: [`${name}.example.com`, `www.${name}.example.com`],
      settings: {
        registration: "open",
        ...(name === "globex" && { limits: { max_documents: 1 }, branding: { theme: "dark" } }),
      },
    });
    expect([made.status, made.body]).toEqual([
      201,
      { message: "Tenant registered successfully", tenant_id: `tenant-${name}` },
    ]);
  }
});
afterAll(() => app?.close());

const at = (host: string, headers: Readonly<Record<string, string>> = {}) => ({
  headers: { host: `${host}.example.com`, ...headers },
});

/** Somebody who has registered at a host and logged in there, by a cookie. */
async function register(host: string, email: string) {
  const registered = await app.visitor.post(
    "/auth/register",
    { email, password: testPassword },
    at(host),
  );
  const signedIn = await app.visitor.absolute.post(
    "/login",
    { username: email, password: testPassword },
    at(host),
  );
  expect(signedIn.body.message).toBe("Login successful");
  const cookie = String(signedIn.headers["set-cookie"]).split(";")[0] ?? "";
  const headers = { cookie, "x-csrf-token": signedIn.body.csrf_token };
  return { id: registered.body.user.id, headers };
}

test("each host is its tenant's, and has what is set for it", async () => {
  for (const host of ["acme", "www.acme"]) {
    expect((await app.visitor.absolute.get("/api/data", at(host))).body).toEqual({
      tenant: "tenant-acme",
      message: "Tenant-specific data",
    });
  }
  expect((await app.visitor.absolute.get("/api/tenant/info", at("globex"))).body).toEqual({
    tenant_id: "tenant-globex",
    hosts: ["globex.example.com", "www.globex.example.com"],
    config: {
      features: { documents: true },
      limits: { max_documents: 1 },
      branding: { theme: "dark" },
    },
  });
});

test("a host that is nobody's has no tenant: the middleware says so", async () => {
  const { status, body } = await app.visitor.absolute.get("/api/data", at("nobody"));
  expect([status, body]).toEqual([404, { error: "Tenant not found", code: "TENANT_NOT_FOUND" }]);
});

test("who logs in has a session, documents and a profile there, and nowhere else", async () => {
  const pages = app.visitor.absolute;
  const ada = await register("acme", "ada@example.com");
  const acme = at("acme", ada.headers);
  expect((await pages.get("/api/secure/data", acme)).body).toMatchObject({ visits: 1 });
  expect((await pages.get("/api/secure/data", acme)).body).toEqual({
    tenant: "tenant-acme",
    user_id: ada.id,
    visits: 2,
  });
  const profile = { id: ada.id, email: "ada@example.com", role: "user" };
  expect((await pages.get("/api/profile", acme)).body).toEqual(profile);
  expect((await pages.get("/api/users", acme)).body).toEqual({
    tenant: "tenant-acme",
    users: [profile],
  });
  const made = await pages.post("/api/documents", { title: "Ours" }, acme);
  expect([made.status, Object.keys(made.body)]).toEqual([201, ["id"]]);
  expect((await pages.get("/api/documents", acme)).body).toMatchObject([{ title: "Ours" }]);

  const refused = await pages.get("/api/secure/data", at("globex", ada.headers));
  expect([refused.status, refused.body.error]).toEqual([403, "Access denied"]);
  expect((await pages.get("/api/secure/data", at("acme"))).status).toBe(401);
  const bob = await register("globex", "bob@example.com");
  const globex = at("globex", bob.headers);
  expect((await pages.get("/api/documents", globex)).body).toEqual([]);
  const add = () => pages.post("/api/documents", { title: "One" }, globex);
  expect((await add()).status).toBe(201);
  expect([(await add()).status, (await add()).body.error]).toEqual([
    429,
    "Document limit exceeded",
  ]);
});

test("administrators register, and nobody else does", async () => {
  const body = { tenant_id: "tenant-3", hosts: ["acme.example.com"] };
  expect((await app.visitor.absolute.post("/admin/tenants", body)).status).toBe(401);
  const taken = await admin.absolute.post("/admin/tenants", body);
  expect([taken.status, taken.body.error]).toEqual([409, "Failed to register host"]);
  const twice = { tenant_id: "tenant-acme", hosts: ["new.example.com"] };
  const again = await admin.absolute.post("/admin/tenants", twice);
  expect([again.status, again.body.error]).toEqual([409, "Failed to register tenant"]);
  const wrong = await admin.absolute.post("/admin/tenants", { tenant_id: "x" });
  expect([wrong.status, wrong.body.error]).toEqual([400, "Invalid request"]);
  const host = await admin.absolute.get("/admin/hosts/new.example.com");
  expect(host.body).toEqual({ registered: false });
});
