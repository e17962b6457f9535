/** Strangers don't learn which tenants there are: what they hear is the same at one that there is not. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import type { Tenant } from "../src/kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

let people: TestPeople;
let tenant: Tenant;
let suspended: Tenant;

beforeAll(async () => {
  people = await openTestPeople({
    features: [...standardFeatures, ...dialects],
    config: { argon2: { memoryKib: 19_456, passes: 2 } },
  });
  // As in production, where it takes no registrations.
  const settings = { registration: "closed" };
  tenant = await people.newTenant({ settings, hosts: ["shop.acme.example"] });
  suspended = await people.newTenant({ settings });
  await people.app.tenants.suspend(suspended.id);
});

afterAll(() => people?.close());

const [email, password] = ["nobody@example.org", "a-Fine-passphrase-7"];
const token = "x".repeat(43);
const passkey = {
  id: "abc",
  rawId: "abc",
  type: "public-key",
  clientExtensionResults: {},
  response: { clientDataJSON: "e30", authenticatorData: "e30", signature: "e30" },
};

/** Right in form, by the path of the route. */
const bodies: Readonly<Record<string, object>> = {
  "/api/v1/auth/register": { email, password },
  "/api/v1/auth/login": { email, password },
  "/api/v1/auth/refresh": { refresh_token: token },
  "/api/v1/auth/verify-email": { token },
  "/api/v1/auth/resend-verification": { email },
  "/api/v1/auth/password-reset-request": { email },
  "/api/v1/auth/password-reset": { token, password },
  "/api/v1/auth/second-factor": { mfa_token: token, code: "123456" },
  "/api/v1/auth/second-factor/totp": { mfa_token: token },
  "/api/v1/auth/second-factor/passkey": { mfa_token: token },
  "/api/v1/auth/second-factor/enrolment": { mfa_token: token, totp: { token, code: "123456" } },
  "/api/v1/auth/passkey/options": {},
  "/api/v1/auth/passkey": { passkey },
  "/api/v1/auth/oidc/exchange": { code: token, code_verifier: "v".repeat(43) },
  "/api/v1/invitations/accept": { token, password },
  "/api/auth/signup": { username: "nobody", email, password },
  "/login": { username: "nobody", password },
  "/auth/register": { email, password },
  "/api/auth/register": { email, password },
  "/auth/login": { email, password },
  "/api/auth/login": { username_or_email: email, password },
  "/api/auth/refresh": { refresh_token: token },
  "/api/auth/refresh-token": { refresh_token: token },
};
const queries: Readonly<Record<string, string>> = {
  "/api/v1/invitations/preview": `?token=${token}`,
  "/auth/verify": `?token=${token}`,
  "/api/auth/verify": `?token=${token}`,
  "/api/v1/auth/oidc/:provider/start": `?return_to=http%3A%2F%2Flocalhost%3A8000%2F&code_challenge=${"c".repeat(43)}`,
  "/api/v1/auth/oidc/:provider/callback": `?state=${token}&code=x`,
};
const withTenantInBody = [
  "/api/v1/auth/register",
  "/api/v1/auth/login",
  "/api/v1/auth/resend-verification",
  "/api/v1/auth/password-reset-request",
  "/api/v1/auth/passkey/options",
  "/api/v1/auth/passkey",
];

/** Without what differs from one request to the next. */
const plain = (body: string): string =>
  body
    .replace(/"request_id":"[^"]*"/, "")
    .replace(/"challenge":"[^"]*"/, "")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "");

const ask = async (
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  url: string,
  name: string | undefined,
  payload?: object,
) => {
  const headers = name === undefined ? {} : { "x-tenant": name };
  const reply = await people.app.inject({ method, url, headers, ...(payload && { payload }) });
  return [reply.statusCode, plain(reply.body)];
};

const routes = [...coreFeatures, ...standardFeatures, ...dialects].flatMap(({ routes }) => routes);
const pathOf = (path: string) =>
  path.replaceAll(/:[a-z]+/g, "019c2f6e-8d5c-7c39-9c0f-3d8f0c1f7a11");

const open = routes.filter(
  ({ options }) => options.permission === "public" && options.context !== "core",
);

describe.each(open.map((route) => [route.method, routePath(route)] as const))(
  "%s %s",
  (method, path) => {
    const url = `${pathOf(path)}${queries[path] ?? ""}`;
    const payload = bodies[path];

    test("answers strangers the same by X-Tenant, whatever it says", async () => {
      if (method === "POST") expect(payload, "a body for the route").toBeDefined();
      const known = await ask(method, url, String(tenant.number), payload);
      if (payload) expect(known[1]).not.toContain("validation_failed");
      for (const name of ["999999", "nobody", randomUUID(), suspended.key]) {
        expect(await ask(method, url, name, payload)).toEqual(known);
      }
      for (const name of [tenant.key, tenant.slug, tenant.id]) {
        expect(await ask(method, url, name, payload)).toEqual(known);
      }
      expect(known[1]).not.toContain(tenant.id);
    });

    test.runIf(withTenantInBody.includes(path))("and by the body", async () => {
      const by = (reference: string) =>
        ask(method, url, undefined, { ...payload, tenant: reference });
      const known = await by(String(tenant.number));
      for (const name of ["999999", "nobody", suspended.key, tenant.key]) {
        expect(await by(name)).toEqual(known);
      }
    });
  },
);

test("every route that takes credentials refuses strangers alike, whatever tenant they name", async () => {
  const guarded = routes.filter(({ options }) => options.permission !== "public");
  for (const route of guarded) {
    const url = pathOf(routePath(route));
    const known = await ask(route.method, url, String(tenant.number));
    // A WebSocket's handshake is asked for its origin first.
    expect(route.options.socket ? [401, 403] : [401], url).toContain(known[0]);
    for (const name of ["999999", "nobody", suspended.key]) {
      expect(await ask(route.method, url, name), url).toEqual(known);
    }
  }
});

test("by its host a tenant shows itself, and who names another one as well is refused", async () => {
  const by = (headers: Record<string, string>) =>
    people.app.inject({
      url: "/api/tenant/info",
      headers: { host: "shop.acme.example", ...headers },
    });
  expect((await by({})).json()).toMatchObject({ tenant_id: tenant.key });
  expect((await by({ "x-tenant": tenant.key })).statusCode).toBe(200);
  expect((await by({ "x-tenant": "nobody" })).statusCode).toBe(403);
});

test("a log-in to a tenant that there is not costs a hash, like any other", async () => {
  const spentOn = async (name: string) => {
    const before = process.cpuUsage();
    for (let i = 0; i < 10; i += 1) {
      await ask("POST", "/api/v1/auth/login", name, { email, password });
    }
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await spentOn(tenant.key);
  const ratio = (await spentOn("nobody")) / (await spentOn(tenant.key));
  expect(ratio).toBeGreaterThan(0.5);
});
