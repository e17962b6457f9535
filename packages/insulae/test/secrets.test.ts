/**
 * Secrets that are sent to a server, anywhere, are nowhere else afterwards: not in an answer, not in
 * the log (at its most talkative level), not in an audit log (attack 111). Once as it should be: a
 * scenario in which every route that changes something succeeds, with real secrets. And once as it
 * should not: something recognisable in every place of every route, by every kind of caller.
 */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, developmentFeatures, standardFeatures } from "../src/features/index.ts";
import type { Route } from "../src/kernel/feature/feature.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import { createLoggerTo } from "../src/kernel/telemetry/log.ts";
import { addMember, createMember, unknownId } from "../src/testing/fixtures.ts";
import { runFullScenario, scenarioPassword } from "../src/testing/full-scenario.ts";
import { createTestApp } from "../src/testing/index.ts";

const planted = "pl4nted-S3cret-Zx9Q";
/** As a JSON Web Token and as an API key look. */
const plantedForms = [`eyJhbGciOiJFZERTQSJ9.${planted}.c2lnbmF0dXJl`, `ik_${planted}${planted}`];

/** The routes whose very answer is a secret, and why. */
const tellers: Readonly<Record<string, string>> = {
  "POST /api/v1/auth/register": "it signs in",
  "POST /api/v1/auth/login": "it signs in",
  "POST /api/v1/auth/refresh": "it gives new tokens",
  "POST /api/v1/auth/switch": "it signs in elsewhere",
  "POST /api/v1/auth/tenant-tokens": "it gives a token for a tenant",
  "POST /api/v1/auth/password-change": "it signs in anew, since all sessions have ended",
  "POST /api/v1/api-keys": "it gives the key, which is nowhere else",
  "POST /api/v1/webhooks": "it gives the secret, which is nowhere else",
  "POST /api/v1/webhooks/:id/rotate-secret": "it gives the new secret",
  "POST /api/v1/files": "it gives the signed request to upload with",
  "POST /api/v1/platform/impersonations": "it gives the token to act with",
  "POST /api/v1/platform/impersonations/:id/token": "it gives the token to act with",
  "GET /api/v1/dev/mails": "in development it shows what would be sent, with its links",
};

const lines: string[] = [];
const txt = new Map<string, string[]>();
let app: App;

const routes = [...coreFeatures, ...developmentFeatures, ...standardFeatures, ...dialects].flatMap(
  (feature) => feature.routes,
);
/** In every place that is ours to choose. */
const everywhere = {
  "user-agent": `agent (https://user:${planted}@example.com/?token=${planted}&signature=${planted})`,
  referer: `https://example.com/reset?token=${planted}`,
  "x-forwarded-for": planted,
  "x-request-id": `Bearer ${planted}`,
  "proxy-authorization": `Basic ${planted}`,
  "client-cert": `:${planted}:`,
  "x-client-cert": planted,
};

beforeAll(async () => {
  app = await createTestApp({
    log: createLoggerTo("trace", (line) => lines.push(line)),
    dns: { txt: async (name) => txt.get(name) ?? [] },
  });
}, 60_000);

afterAll(() => app?.close());

/** All that is left of the requests, by where. */
async function kept(tenants: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const platform = await app.withPlatform("look for secrets", async ({ control }) => {
    const { rows } = await sql`select * from control.audit_log`.execute(control);
    return rows;
  });
  const audited = await Promise.all(
    tenants.map((key) => app.withTenant(key, ({ db }) => db.sql`select * from audit_log`)),
  );
  return {
    "the log": lines.join(""),
    "the platform's audit log": JSON.stringify(platform),
    "the tenants' audit logs": JSON.stringify(audited),
  };
}

/** Where a secret is, and where in there. */
const findIn = (places: Readonly<Record<string, string>>, secrets: Iterable<string>) =>
  Object.entries(places).flatMap(([where, text]) =>
    [...secrets].flatMap((secret) => {
      const at = text.indexOf(secret);
      return at < 0 ? [] : [`${where}: …${text.slice(Math.max(0, at - 80), at + secret.length)}…`];
    }),
  );

test("the secrets of requests that succeed are only where they are the very answer", async () => {
  const secrets = new Set([planted]);
  /** What was known when each step was asked. */
  const before: ReadonlySet<string>[] = [];
  const scenario = await runFullScenario({
    app,
    txt,
    headers: everywhere,
    onSecret: (secret) => void secrets.add(secret),
    onCall: () => void before.push(new Set(secrets)),
  });
  const told = scenario.steps.flatMap(({ route, text }, i) => {
    const mine = tellers[route] === undefined ? secrets : (before[i] ?? secrets);
    // A development server shows the same mails each time it is asked.
    return route.endsWith("/dev/mails") ? [] : findIn({ [route]: text }, mine);
  });
  expect(told).toEqual([]);
  const places = await kept(scenario.tenants);
  // There is something to look through, and to look for.
  expect(secrets.size).toBeGreaterThan(30);
  expect(lines.length).toBeGreaterThan(scenario.steps.length);
  expect(places["the tenants' audit logs"]).toContain("auth.password_changed");
  expect(places["the platform's audit log"]).toContain("impersonation.started");
  expect(findIn(places, secrets)).toEqual([]);
}, 60_000);

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly const?: unknown;
}

/** Where secrets belong, and where people type theirs by mistake. */
const takesSecrets = /password|token|secret|code|signature|private|certificate|^(email|username)$/;

/** A value of the schema, with a secret in every field that somebody may put one in. */
function hostile(schema: Schema, field = ""): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.anyOf) return hostile(schema.anyOf.at(-1) ?? {}, field);
  if (schema.properties) {
    const members = Object.entries(schema.properties);
    return Object.fromEntries(members.map(([name, inner]) => [name, hostile(inner, name)]));
  }
  if (schema.type === "array") return schema.items ? [hostile(schema.items, field)] : [];
  if (schema.type === "integer" || schema.type === "number") return 1;
  if (schema.type === "boolean") return true;
  if (takesSecrets.test(field)) return planted;
  return schema.format === "uuid" ? unknownId : "text";
}

async function ask(route: Route, headers: Record<string, string>, query: string, body: unknown) {
  const pattern = routePath(route);
  const takesBody = route.method !== "GET" && route.method !== "DELETE" && body !== undefined;
  const reply = await app.inject({
    method: route.method,
    url: `${pattern.replaceAll(/:[a-z_]+/g, query === "" ? unknownId : planted)}${query}`,
    headers: {
      ...everywhere,
      ...headers,
      ...(takesBody && { "content-type": "application/json" }),
    },
    ...(takesBody && { payload: JSON.stringify(body) }),
  });
  const name = `${route.method} ${pattern}`;
  expect(reply.statusCode, `${name} with ${JSON.stringify(body)}: ${reply.body}`).not.toBe(500);
  // Everyday data is what somebody wrote, and is given back.
  if (reply.statusCode >= 400) expect(reply.body, name).not.toContain(planted);
}

/** Whoever may call something, and the ways to show a secret that is none. */
async function callers(): Promise<readonly Record<string, string>[]> {
  const { tenant } = await createMember(app);
  const { token } = await addMember(app, tenant, "owner");
  await app.ensureAdmin({ email: "admin@example.com", password: scenarioPassword });
  const payload = { email: "admin@example.com", password: scenarioPassword };
  const logIn = () => app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  const inTenant = { "x-tenant": tenant.key };
  return [
    { authorization: `Bearer ${token}` },
    { authorization: `Bearer ${(await logIn()).json().access_token}` },
    inTenant,
    ...[planted, ...plantedForms].flatMap((form) => [
      { ...inTenant, authorization: `Bearer ${form}` },
      { ...inTenant, "x-api-key": form },
      { ...inTenant, cookie: `session=${form}; __Host-session=${form}`, "x-csrf-token": form },
    ]),
    { "x-tenant": planted },
  ];
}

test("a secret in any place of any route is in no error, no log and no audit log", async () => {
  const asked = await callers();
  const tenants = asked.flatMap((headers) => headers["x-tenant"] ?? []).slice(0, 1);
  const query = `?token=${planted}&access_token=${planted}&signature=${planted}&code=${planted}`;
  for (const route of routes) {
    const ends = /logout|leave|sessions|password-change/.test(route.path);
    // A schema is plain JSON Schema.
    const schema = route.options.body as Schema | undefined;
    const bodies = [
      schema && hostile(schema),
      { username: planted, password: planted },
      { password: planted, token: [planted] },
    ];
    for (const headers of ends ? asked.slice(2) : asked) {
      await ask(route, headers, query, bodies[2]);
      for (const body of bodies) await ask(route, headers, "", body);
    }
  }
  const where = await kept(tenants);
  expect(where["the tenants' audit logs"]).toContain("auth.login_failed");
  expect(findIn(where, [planted])).toEqual([]);
}, 120_000);
