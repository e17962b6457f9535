import { createTestApp, type TestAccount, type TestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { organizations } from "./organizations.feature.ts";

let app: TestApp;

beforeAll(async () => {
  app = await createTestApp({ features: [organizations] });
});

afterAll(() => app?.close());

/** What the account's requests carry in the organization that it switches to. */
async function inOrganization(account: TestAccount, tenant: string) {
  const { body } = await account.post("/auth/switch", { tenant });
  return { user: body.user, headers: { authorization: `Bearer ${body.access_token}` } };
}

test("an account makes an organization, owns it, and finds in it what it begins with", async () => {
  const email = "ada@acme.example";
  const account = await app.createAccount(email);
  const made = await account.post("/organizations", { key: "acme", name: "Acme" });
  expect([made.status, made.body]).toMatchObject([201, { key: "acme", name: "Acme" }]);

  const { user, headers } = await inOrganization(account, "acme");
  expect(user).toMatchObject({ email, role: "owner" });
  await app.runJobs();
  const projects = await account.get("/projects", { headers });
  expect(projects.body.items).toMatchObject([{ name: "Getting started" }]);
  // The first is about the account's address.
  expect((await app.mailsTo(email, 2)).at(-1)).toMatchObject({ subject: "Acme is ready" });
  expect((await app.tenants.get("acme")).placement.isolation).toBe("database");
});

test("a key is taken once, and nobody without an account makes one", async () => {
  const body = { key: "taken", name: "Taken" };
  const account = await app.createAccount();
  expect((await account.post("/organizations", body)).status).toBe(201);
  const other = await app.createAccount();
  expect((await other.post("/organizations", body)).body.code).toBe("tenant_exists");
  expect((await app.visitor.post("/organizations", { ...body, key: "free" })).status).toBe(401);
});

test("B's account and users see nothing of A's", async () => {
  const [a, b] = [await app.createAccount(), await app.createAccount()];
  await a.post("/organizations", { key: "a", name: "A" });
  await b.post("/organizations", { key: "b", name: "B" });
  expect((await b.post("/auth/switch", { tenant: "a" })).status).toBe(404);
  const { headers } = await inOrganization(b, "b");
  const reply = await b.get("/projects", { headers: { ...headers, "x-tenant": "a" } });
  expect(reply.status).toBe(403);
});
