import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { version } from "../../app/version.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { openTestProvider, testClient } from "./provider-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const context = (host: string, headers: Record<string, string> = {}) =>
  people.app.inject({ url: "/api/v1/auth/context", headers: { host, ...headers } });
const hostOf = ({ slug }: Tenant) => `${slug}.localhost`;

const platform = {
  version,
  environment: "test",
  tenant: null,
  password_login: true,
  registration: true,
  passkeys: true,
  providers: [],
  captured_mail: true,
};

describe("before sign-in, a page knows", () => {
  test("at the platform: the server, and whether an administrator has signed in", async () => {
    const before = await context("localhost:8000");
    expect(before.json()).toEqual({ ...platform, first_sign_in: true });
    await people.admin();
    expect((await context("localhost:8000")).json().first_sign_in).toBe(false);
  });

  test("at a tenant's host: its name, branding, ways in, and providers that are enabled", async () => {
    const provider = await openTestProvider();
    const tenant = await people.newTenant({
      name: "Acme",
      hosts: ["acme.example"],
      settings: { branding: { color: "#123456" }, password_login: "off" },
    });
    const { token } = await people.newOwner(tenant);
    const add = async (name: string, more: object) => {
      const body = { name, issuer: provider.issuer, ...testClient, create_users: true, ...more };
      const made = await people.post("/api/v1/identity-providers", { token, body });
      expect(made.status, made.text).toBe(201);
      return made.body.id;
    };
    const id = await add("Work", {});
    await add("Old", { enabled: false });
    await provider.close();
    for (const host of [hostOf(tenant), "acme.example:8000"]) {
      expect((await context(host)).json()).toMatchObject({
        tenant: { id: tenant.id, key: tenant.key, name: "Acme", branding: { color: "#123456" } },
        password_login: false,
        registration: false,
        passkeys: true,
        providers: [{ key: id, name: "Work" }],
      });
    }
  });

  test("nothing of a tenant that is named in another way, whether there is one or not", async () => {
    const tenant = await people.newTenant();
    const gone = await people.newTenant();
    await people.suspend(gone);
    for (const key of [tenant.key, gone.key, "nobody"]) {
      const named = await context("localhost", { "x-tenant": key });
      expect([key, named.json()]).toEqual([key, { ...platform, first_sign_in: false }]);
    }
    const { token } = await people.newOwner(tenant);
    const signedIn = await context("localhost", { authorization: `Bearer ${token}` });
    expect(signedIn.json().tenant).toBeNull();
    // As everywhere: a host is no secret.
    expect((await context("nobody.localhost")).json().code).toBe("tenant_not_found");
  });

  test("it all with a cookie that is no good any more", async () => {
    const { statusCode } = await context("localhost:8000", { cookie: "__Host-insulae=gone" });
    expect(statusCode).toBe(200);
  });

  test("in production neither mails nor whether somebody has signed in", async () => {
    const node = await people.openNode({
      ...{ env: "production", baseDomain: "example.com", baseUrl: "https://api.example.com" },
    });
    try {
      const headers = { host: "api.example.com" };
      const { body } = await node.inject({ url: "/api/v1/auth/context", headers });
      expect(JSON.parse(body)).toMatchObject({ captured_mail: false, first_sign_in: false });
    } finally {
      await node.close();
    }
  });
});
