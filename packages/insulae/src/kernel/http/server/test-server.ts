/** A server for this folder's tests: any features, and a caller chosen by each test. */
import { Writable } from "node:stream";
import { pino } from "pino";
import { Type } from "typebox";
import { onTestFinished } from "vitest";
import { type Feature, feature } from "../../feature/feature.ts";
import type { Principal } from "../../identity/principal.ts";
import type { TenantId } from "../../lib/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { unlimited } from "../limits/request-limits.ts";
import type { Caller } from "../state/request-state.ts";
import { createHttpServer, type HttpServerOptions } from "./server.ts";

export interface TestServer {
  readonly app: ReturnType<typeof createHttpServer>;
  readonly lines: Record<string, unknown>[];
}

/** Only the id matters here. */
export const testTenant = (id: string): Tenant => ({ id: id as TenantId }) as Tenant;

/** What the real resolver would return; by default, for a tenant's anonymous caller. */
export function callerFor(tenant: Tenant | undefined, user?: Principal): Caller {
  return {
    tenant,
    user,
    credential: undefined,
    db: undefined,
    get platform(): never {
      throw new Error("no platform here");
    },
  };
}

export function testServer(
  features: readonly Feature[],
  options: Partial<HttpServerOptions> = {},
): TestServer {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const app = createHttpServer({
    features,
    identify: () => callerFor(testTenant("tenant-a")),
    authorise: () => {},
    health: { database: async () => {} },
    metrics: createMetrics(),
    cors: { origins: { classify: () => "foreign", isKnown: () => false }, credentials: false },
    limits: unlimited,
    cursorSecret: "a secret of at least thirty-two bytes",
    baseUrl: () => "http://localhost:8000",
    version: "1.2.3",
    production: false,
    log: pino({ base: null }, sink),
    ...options,
  });
  onTestFinished(() => app.close());
  return { app, lines };
}

/** A route that returns its body. */
export const echo = feature("echo", {
  routes: (r) => [
    r.post(
      "/echo",
      {
        permission: "public",
        audit: { none: "a test" },
        summary: "Returns its body",
        body: Type.Object({
          text: Type.String(),
          count: Type.Optional(Type.Integer()),
          more: Type.Optional(Type.Object({ tag: Type.Optional(Type.String()) })),
        }),
        response: Type.Unknown(),
        bodyLimit: 200_000,
      },
      ({ body }) => body,
    ),
  ],
});
