/**
 * Who gets past authorisation where: every route of a full app, asked by every kind of caller, against
 * what the routes declare. Each request has a query parameter that no route declares: whoever is let
 * in is refused by validation, before a handler runs, and nothing happens. New routes are in it by
 * themselves.
 */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../src/app/app.ts";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { type Feature, feature, type Route, systemRoles } from "../src/kernel/feature/feature.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import { healthFeature } from "../src/kernel/http/server/health.ts";
import type { Tenant } from "../src/kernel/model/tenant.ts";
import { createLogger } from "../src/kernel/telemetry/log.ts";
import { addMember, createMember, unknownId } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { withProblems } from "../src/testing/problem-errors.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";

const health = healthFeature({
  checks: { database: async () => {} },
  version: "",
  log: createLogger("silent"),
});
const features: readonly Feature[] = [health, ...coreFeatures, ...standardFeatures, ...dialects];
const routes = features.flatMap((feature) => feature.routes);
const permissions = new Map(features.flatMap((feature) => [...feature.permissions]));

interface Caller {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the routes' declarations let them in. */
  readonly may: (route: Route) => boolean;
}

let app: App;
let callers: readonly Caller[];
beforeAll(async () => {
  app = await createTestApp({ features: withProblems([...standardFeatures, ...dialects]) });
  callers = await everyKindOfCaller();
}, 60_000);
afterAll(() => app?.close());

const contextOf = ({ options }: Route) => options.context ?? "tenant";

/** Public, but what it makes is the caller's: whoever has a token has to be an account. */
const isForAccounts = (route: Route): boolean =>
  route.options.forCaller === true && contextOf(route) === "core";

/** A user of a tenant, who calls in it. */
const memberMay =
  (holds: (permission: string) => boolean) =>
  (route: Route): boolean => {
    const { permission } = route.options;
    if (permission === "public") return !isForAccounts(route);
    if (permission === "platform") return false;
    if (permission === "authenticated") return contextOf(route) !== "core";
    return holds(permission);
  };

/** A key with one scope: named permissions only, and nothing that is for the person themself. */
const keyMay =
  (scope: string) =>
  (route: Route): boolean => {
    const { permission, personal } = route.options;
    if (permission === "public") return !isForAccounts(route);
    return permission === scope && !personal;
  };

/** An administrator of the platform who acts as a user: what is personal, or gives access for longer, stays closed. */
const impersonatorMay =
  (may: Caller["may"]) =>
  (route: Route): boolean => {
    const { permission, personal = permission === "authenticated", impersonators } = route.options;
    return may(route) && !personal && impersonators !== false;
  };

/** An account, in the core. */
const accountMay =
  (admin: boolean) =>
  (route: Route): boolean => {
    const { permission, orPlatform = false } = route.options;
    if (contextOf(route) === "tenant") return false;
    if (permission === "platform") return admin;
    if (orPlatform) return admin;
    return permission === "public" || permission === "authenticated";
  };

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function everyKindOfCaller(): Promise<readonly Caller[]> {
  const { tenant } = await createMember(app);
  const stranger = await createMember(app);
  const isPublic = (route: Route) => route.options.permission === "public";

  const administrator = await account(true);
  const members: Caller[] = [];
  for (const [rank, role] of systemRoles.entries()) {
    const { token, userId } = await addMember(app, tenant, role);
    if (role === "owner") {
      members.push(...(await keysOf(token)), {
        name: "an administrator who acts as the owner",
        headers: bearer(await impersonate(administrator, tenant, userId)),
        may: impersonatorMay(memberMay(() => true)),
      });
    }
    const holds = (name: string) =>
      systemRoles.indexOf(permissions.get(name)?.role ?? "owner") >= rank;
    members.push({ name: role, headers: bearer(token), may: memberMay(holds) });
  }
  for (const permission of permissions.keys()) {
    const token = await memberWith(tenant, permission);
    const holds = (name: string) => name === permission || permissions.get(name)?.role === "viewer";
    members.push({
      name: `a viewer with ${permission}`,
      headers: bearer(token),
      may: memberMay(holds),
    });
  }
  return [
    { name: "anybody", headers: { "x-tenant": tenant.key }, may: isPublic },
    ...members,
    {
      name: "a user of another tenant",
      headers: { ...bearer(stranger.token), "x-tenant": tenant.key },
      may: (route) => isPublic(route) && contextOf(route) === "core" && !isForAccounts(route),
    },
    { name: "an account", headers: bearer(await account(false)), may: accountMay(false) },
    {
      name: "a platform administrator",
      headers: bearer(administrator),
      may: accountMay(true),
    },
  ];
}

/** For each permission an API key of the owner with that scope. */
function keysOf(token: string): Promise<Caller[]> {
  return Promise.all(
    [...permissions.keys()].map(async (scope) => {
      const reply = await app.inject({
        method: "POST",
        url: "/api/v1/api-keys",
        headers: bearer(token),
        payload: { name: scope, scopes: [scope] },
      });
      const headers = { "x-api-key": reply.json().key };
      return { name: `a key for ${scope}`, headers, may: keyMay(scope) };
    }),
  );
}

async function impersonate(token: string, tenant: Tenant, userId: string): Promise<string> {
  const reply = await app.inject({
    method: "POST",
    url: "/api/v1/platform/impersonations",
    headers: bearer(token),
    payload: { tenant: tenant.key, user_id: userId, reason: "a test", minutes: 10 },
  });
  return reply.json().token;
}

/** A viewer with a custom role that has one permission. */
async function memberWith(tenant: Tenant, permission: string): Promise<string> {
  const { token, userId } = await addMember(app, tenant, "viewer");
  await app.withTenant(tenant, async ({ db, forgetUser }) => {
    await db.query(
      `with role as (insert into roles (name, permissions) values ($1, $2) returning id)
       insert into user_roles (user_id, role_id) select $3, id from role`,
      [`only ${permission}`, [permission], userId],
    );
    await forgetUser(userId);
  });
  return token;
}

async function account(admin: boolean): Promise<string> {
  const payload = { email: `${randomUUID()}@example.org`, password: "a-Fine-passphrase-7" };
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/register", payload });
  if (!admin) return reply.json().token;
  await app.withPlatform("a test", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("email", "=", payload.email)
      .execute(),
  );
  const again = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  return again.json().token;
}

/** Said to whoever has been let in. */
const said = ["validation_failed", "too_many_at_once", "busy"];

/** What becomes of a request: `in`, or the status and code that it is refused with. */
async function ask(route: Route, { headers }: Caller): Promise<string> {
  const hasBody = route.method !== "GET" && route.method !== "DELETE";
  const reply = await app.inject({
    method: route.method,
    url: `${routePath(route).replaceAll(/:[a-z0-9_]+/g, unknownId)}?undeclared=1`,
    headers: { ...headers, ...(hasBody && { "content-type": "application/json" }) },
    ...(hasBody && { payload: "{}" }),
  });
  const { code } = reply.json();
  return said.includes(code) ? "in" : `${reply.statusCode} ${code}`;
}

describe("the matrix of roles and routes", () => {
  it.each(routes.map((route) => [`${route.method} ${routePath(route)}`, route] as const))(
    "%s lets in those whom it declares, and nobody else",
    async (_name, route) => {
      const answers = await Promise.all(
        callers.map(async (caller) => [caller, await ask(route, caller)] as const),
      );
      const got = answers.map(([{ name }, answer]) => `${name}: ${answer === "in"}`);
      expect(got).toEqual(callers.map(({ name, may }) => `${name}: ${may(route)}`));
      const refusals = answers.map(([, answer]) => answer).filter((answer) => answer !== "in");
      for (const refusal of refusals) expect(refusal).toMatch(/^(401|403) |^400 tenant_required$/);
    },
  );

  it("has no undeclared route: an app with one does not start", async () => {
    const undeclared = feature("undeclared", {
      routes: (r) => [
        r.get(
          "/undeclared",
          // As a caller in JavaScript would leave it out.
          { summary: "Says nothing", response: {} } as unknown as {
            permission: "public";
          } & Omit<Route["options"], "etag">,
          () => ({}),
        ),
      ],
    });
    const { config } = app;
    await expect(createApp({ features: [undeclared], env: {}, config })).rejects.toThrow(
      "undeclared: GET /api/v1/undeclared: it has no permission",
    );
  });
});
