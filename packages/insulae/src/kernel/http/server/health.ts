/**
 * Whether this process lives, and whether what it depends on does. Public, and without a tenant: a
 * load balancer asks. The checks are shared: however many ask at once, each dependency is asked
 * once, and a dependency that does not answer counts as down.
 */
import { Type } from "typebox";
import { type Feature, feature } from "../../feature/feature.ts";
import { timestamp } from "../../feature/fields.ts";
import { defineError } from "../../lib/errors.ts";
import type { Logger } from "../../telemetry/log.ts";

/** Resolves if the dependency works, rejects if not. */
type HealthCheck = () => Promise<unknown>;

export interface HealthChecks {
  /** The control plane's. Without it nothing works. */
  readonly database: HealthCheck;
  /** What the server goes on without, with less to offer; by name. */
  readonly others?: Readonly<Record<string, HealthCheck>>;
}

export interface HealthOptions {
  readonly checks: HealthChecks;
  readonly version: string;
  readonly log: Logger;
  /** Whether the server is about to stop, and wants no more requests. */
  readonly isStopping?: () => boolean;
  /** How long a dependency may take. Default 2 s. */
  readonly timeoutMs?: number;
}

const databaseUnhealthy = defineError("database_unhealthy", 503, "Database unhealthy");

const Dependency = Type.Object({
  status: Type.Union([Type.Literal("up"), Type.Literal("down")]),
  latency_ms: Type.Number({ description: "How long it took to find out." }),
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
          "`degraded`: something is down that the server goes on without. `stopping`: it still serves, and asks balancers to send requests elsewhere.",
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
          summary: "Says that the server answers, and which version it is",
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
          summary: "Says that the process lives",
          response: Type.Object({ status: Type.Literal("alive") }),
        },
        () => ({ status: "alive" }),
      ),
      r.get(
        "/health/ready",
        {
          ...open,
          summary: "Says whether the server is fit for requests, and how its dependencies are",
          description:
            "200 while the database works; `degraded` if something else does not (Redis, the mail server …), which the server goes on without. 503 without the database, and when the server is about to stop.",
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
          summary: "Says whether the database works",
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

/** Callers that come while it runs wait for the same run. */
function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/** @throws Error once it has taken too long. */
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
