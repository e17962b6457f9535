/**
 * Whether this process lives, and whether what it depends on does. Public, and without a tenant: a
 * load balancer asks. The checks are shared: however many ask at once, each dependency is asked
 * once, and a dependency that does not answer counts as down.
 */
import { Type } from "typebox";
import { defineError } from "../errors.ts";
import { type Feature, feature } from "../feature.ts";
import type { Logger } from "../telemetry/log.ts";

/** Resolves if the dependency works, rejects if not. */
export type HealthCheck = () => Promise<unknown>;

/** The dependencies by name; the database is always one. */
export type HealthChecks = Readonly<Record<string, HealthCheck>> & {
  readonly database: HealthCheck;
};

export interface HealthOptions {
  readonly checks: HealthChecks;
  readonly version: string;
  readonly log: Logger;
  /** How long a dependency may take. Default 2 s. */
  readonly timeoutMs?: number;
}

const databaseUnhealthy = defineError("database_unhealthy", 503, "Database unhealthy");

const Dependency = Type.Union([Type.Literal("up"), Type.Literal("down")]);
const Readiness = Type.Object(
  {
    status: Type.Union([Type.Literal("ready"), Type.Literal("unavailable")]),
    dependencies: Type.Record(Type.String(), Dependency),
  },
  { title: "Readiness" },
);

export function healthFeature(options: HealthOptions): Feature {
  const { version, log, timeoutMs = 2_000 } = options;
  const checks = new Map(
    Object.entries(options.checks).map(([name, check]) => [
      name,
      shared(async () => {
        try {
          await within(check(), timeoutMs);
          return true;
        } catch (error) {
          log.warn({ err: error, dependency: name }, "dependency is down");
          return false;
        }
      }),
    ]),
  );
  const isUp = async (name: string): Promise<boolean> => (await checks.get(name)?.()) ?? false;
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
            timestamp: Type.String({ format: "date-time" }),
            version: Type.String(),
          }),
        },
        () => ({ status: "healthy", timestamp: new Date().toISOString(), version }),
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
          summary: "Says whether all that the server depends on works",
          response: { 200: Readiness, 503: Readiness },
        },
        async ({ status }) => {
          const states = await Promise.all(
            [...checks.keys()].map(async (name) => [name, (await isUp(name)) ? "up" : "down"]),
          );
          const ready = states.every(([, state]) => state === "up");
          if (!ready) status(503);
          return {
            status: ready ? "ready" : "unavailable",
            dependencies: Object.fromEntries(states),
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

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer in ${milliseconds} ms`)),
    milliseconds,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
