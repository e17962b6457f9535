/**
 * Liveness and readiness. Public and without a tenant, for load balancers. Concurrent requests
 * share one check of each dependency; a dependency that does not respond in time counts as down.
 */
import { Type } from "typebox";
import { type Feature, feature } from "../../feature/feature.ts";
import { timestamp } from "../../feature/fields.ts";
import { defineError } from "../../lib/errors.ts";
import type { Logger } from "../../telemetry/log.ts";

/** Resolves if the dependency works, otherwise rejects. */
type HealthCheck = () => Promise<unknown>;

export interface HealthChecks {
  /** The control plane's; without it nothing works. */
  readonly database: HealthCheck;
  /** Optional dependencies by name: without them the server continues with reduced function. */
  readonly others?: Readonly<Record<string, HealthCheck>>;
}

export interface HealthOptions {
  readonly checks: HealthChecks;
  readonly version: string;
  readonly log: Logger;
  /** Whether the server is about to stop and wants no more requests. */
  readonly isStopping?: () => boolean;
  /** The time limit of a check. Default 2 s. */
  readonly timeoutMs?: number;
}

const databaseUnhealthy = defineError("database_unhealthy", 503, "Database unhealthy");

const Dependency = Type.Object({
  status: Type.Union([Type.Literal("up"), Type.Literal("down")]),
  latency_ms: Type.Number({ description: "How long the check took." }),
});
const Readiness = Type.Object(
  {
    status: Type.Union(
      [
        Type.Literal("ready"),
        Type.Literal("degraded"),
        Type.Literal("unavailable"),
        Type.Literal("stopping"),
      ],
      {
        description:
          "`degraded`: an optional dependency is down. `stopping`: still serves, but load balancers should send requests elsewhere.",
      },
    ),
    dependencies: Type.Record(Type.String(), Dependency),
  },
  { title: "Readiness" },
);

export function healthFeature(options: HealthOptions): Feature {
  const { version, log, isStopping = () => false, timeoutMs = 2_000 } = options;
  const checks = new Map(
    Object.entries({ database: options.checks.database, ...options.checks.others }).map(
      ([name, check]) => [
        name,
        shared(async () => {
          const since = performance.now();
          const up = await within(check, timeoutMs).then(
            () => true,
            (error: unknown) => {
              log.warn({ err: error, dependency: name }, "dependency is down");
              return false;
            },
          );
          return { up, ms: Math.round((performance.now() - since) * 10) / 10 };
        }),
      ],
    ),
  );
  const isUp = async (name: string): Promise<boolean> => (await checks.get(name)?.())?.up ?? false;
  const open = { permission: "public", context: "core" } as const;

  return feature("health", {
    routes: ({ absolute: r }) => [
      r.get(
        "/health",
        {
          ...open,
          summary: "Returns the server's version",
          response: Type.Object({
            status: Type.Literal("healthy"),
            timestamp,
            version: Type.String(),
          }),
        },
        () => ({ status: "healthy", timestamp: new Date(), version }),
      ),
      r.get(
        "/health/live",
        {
          ...open,
          summary: "Liveness: the process responds",
          response: Type.Object({ status: Type.Literal("alive") }),
        },
        () => ({ status: "alive" }),
      ),
      r.get(
        "/health/ready",
        {
          ...open,
          summary: "Readiness: the state of the server and its dependencies",
          description:
            "200 while the database works; `degraded` if an optional dependency is down (Redis, the mail server …). 503 without the database, and when the server is about to stop.",
          response: { 200: Readiness, 503: Readiness },
        },
        async ({ status }) => {
          const found = await Promise.all(
            [...checks].map(async ([name, check]) => [name, await check()] as const),
          );
          const down = found.filter(([, { up }]) => !up).map(([name]) => name);
          const unavailable = down.includes("database");
          const stopping = isStopping();
          if (unavailable || stopping) status(503);
          const fit = down.length > 0 ? "degraded" : "ready";
          return {
            status: unavailable ? "unavailable" : stopping ? "stopping" : fit,
            dependencies: Object.fromEntries(
              found.map(([name, { up, ms }]) => [
                name,
                { status: up ? ("up" as const) : ("down" as const), latency_ms: ms },
              ]),
            ),
          };
        },
      ),
      r.get(
        "/health/db",
        {
          ...open,
          summary: "Checks the database",
          response: Type.Object({ database: Type.Literal("healthy") }),
          errors: [databaseUnhealthy],
        },
        async () => {
          if (await isUp("database")) return { database: "healthy" };
          throw databaseUnhealthy({ detail: "Database unhealthy" });
        },
      ),
    ],
  });
}

/** Callers that arrive during a run share its result. */
function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/** @throws Error when the time is up */
export async function within<T>(work: () => Promise<T>, milliseconds: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer in ${milliseconds} ms`)),
    milliseconds,
  );
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
