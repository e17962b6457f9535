/** Whatever is changed over the API is in an audit log, by the routes' own declarations. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { coreFeatures, developmentFeatures, standardFeatures } from "../src/features/index.ts";
import { routePath } from "../src/kernel/http/api/declarations.ts";
import { changing, type FullScenario, runFullScenario } from "../src/testing/full-scenario.ts";
import { createTestApp } from "../src/testing/index.ts";

/**
 * Features that need a phone, another server, somebody else's browser or some seconds, and dialects, whose requests
 * are those of their documents: their own tests look.
 */
const apart: readonly string[] = [
  ...["factors", "identity-providers", "invitations", "logs", "mail-feedback", "moves", "servers"],
  ...dialects.map(({ name }) => name),
];

/** It takes a link that only the CLI and the start make: see `cli/admin.test.ts`. */
const byLink = "POST /api/v1/auth/start";

const features = [...coreFeatures, ...developmentFeatures, ...standardFeatures, ...dialects];
const routes = features.flatMap((feature) => feature.routes);
let app: App;
let scenario: FullScenario;
const txt = new Map<string, string[]>();

beforeAll(async () => {
  app = await createTestApp({ dns: { txt: async (name) => txt.get(name) ?? [] } });
  scenario = await runFullScenario({ app, txt });
}, 60_000);

afterAll(() => app?.close());

interface Entry {
  readonly action: string;
  readonly outcome: string;
  readonly request_id: string | null;
  /** Which tenant's, or the platform's. */
  readonly log: string;
}

async function entries(): Promise<readonly Entry[]> {
  const found = await Promise.all([
    app.withPlatform("read the log", async ({ control }) => {
      const { rows } = await sql<Entry>`select *, 'platform' as log from control.audit_log`.execute(
        control,
      );
      return rows;
    }),
    ...scenario.tenants.map((key) =>
      app.withTenant(key, ({ db }) => db.sql<Entry>`select *, ${key} as log from audit_log`),
    ),
  ]);
  return found.flat();
}

test("each route that changes something is tried", () => {
  const tried = new Set(scenario.steps.map(({ route }) => route));
  const here = features.filter(({ name }) => !apart.includes(name));
  const all = changing(here.flatMap((feature) => feature.routes));
  expect(all.filter((route) => !tried.has(route))).toEqual([byLink]);
});

/** Its first success in a session is logged by the handler. */
const whenItBegins = ["POST /api/v1/auth/tenant-tokens"];

test("what succeeded has left an entry where its route says so, once, and none elsewhere", async () => {
  const byRequest = Map.groupBy(await entries(), ({ request_id }) => request_id);
  const declared = new Map(
    routes.map((route) => [`${route.method} ${routePath(route)}`, route.options.audit]),
  );
  expect(scenario.steps.length).toBeGreaterThan(50);
  for (const { route, requestId } of scenario.steps) {
    const found = byRequest.get(requestId) ?? [];
    const names = found.map(({ log, action }) => `${log} ${action}`);
    expect(names, route).toEqual([...new Set(names)]);
    const isLogged = typeof declared.get(route) === "string" || whenItBegins.includes(route);
    expect([route, found.length > 0]).toEqual([route, isLogged]);
    for (const { outcome } of found) expect(outcome, route).toBe("succeeded");
  }
});
