import type { App } from "insulae";
import { createTestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { organizations } from "./organizations.feature.ts";

let app: App;

beforeAll(async () => {
  app = await createTestApp({ features: [organizations] });
});

afterAll(() => app?.close());

const as = (token?: string) => async (method: "GET" | "POST", path: string, body?: object) => {
  const reply = await app.inject({
    method,
    url: `/api/v1${path}`,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body && { payload: body }),
  });
  return { status: reply.statusCode, body: reply.json() };
};

/** An account, in the core. */
async function newAccount(email: string) {
  const person = { email, password: "a-Fine-passphrase-7" };
  const { body } = await as()("POST", "/auth/register", person);
  return as(body.access_token);
}

test("an account makes an organization, owns it, and finds in it what it begins with", async () => {
  const email = "ada@acme.example";
  const account = await newAccount(email);
  const made = await account("POST", "/organizations", { key: "acme", name: "Acme" });
  expect([made.status, made.body]).toMatchObject([201, { key: "acme", name: "Acme" }]);

  const switched = await account("POST", "/auth/switch", { tenant: "acme" });
  expect(switched.body.user).toMatchObject({ email, role: "owner" });
  const owner = as(switched.body.access_token);
  const projects = async () => (await owner("GET", "/projects")).body.items;
  await expect.poll(projects).toMatchObject([{ name: "Getting started" }]);
  const mails = async () => (await as()("GET", `/dev/mails?to=${email}`)).body.items;
  await expect.poll(mails).toContainEqual(expect.objectContaining({ subject: "Acme is ready" }));
  expect((await app.tenants.get("acme")).placement.isolation).toBe("database");
});

test("a key is taken once, and nobody without an account makes one", async () => {
  const body = { key: "taken", name: "Taken" };
  const account = await newAccount("grace@taken.example");
  expect((await account("POST", "/organizations", body)).status).toBe(201);
  const other = await newAccount("eve@other.example");
  expect((await other("POST", "/organizations", body)).body.code).toBe("tenant_exists");
  expect((await as()("POST", "/organizations", { ...body, key: "free" })).status).toBe(401);
});

test("B's account and users see nothing of A's", async () => {
  const [a, b] = [await newAccount("a@a.example"), await newAccount("b@b.example")];
  await a("POST", "/organizations", { key: "a", name: "A" });
  await b("POST", "/organizations", { key: "b", name: "B" });
  expect((await b("POST", "/auth/switch", { tenant: "a" })).status).toBe(404);
  const switched = await b("POST", "/auth/switch", { tenant: "b" });
  const reply = await app.inject({
    url: "/api/v1/projects",
    headers: { authorization: `Bearer ${switched.body.access_token}`, "x-tenant": "a" },
  });
  expect(reply.statusCode).toBe(403);
});
