/** Health checks at the paths that the address book's clients use. */
import { sql } from "kysely";
import { Type } from "typebox";
import type { UserTables } from "../features/users/users.feature.ts";
import type { RouteBuilder } from "../kernel/feature/feature.ts";
import { timestamp } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { within } from "../kernel/http/server/health.ts";
import { addressBookErrors as errorShape } from "./address-book.errors.ts";

const open = { permission: "public", context: "core", errorShape } as const;
const Status = Type.Union([Type.Literal("healthy"), Type.Literal("unhealthy")]);
const Detailed = Type.Object(
  {
    status: Status,
    timestamp,
    components: Type.Object({ database: Type.Object({ status: Status }) }),
  },
  { $id: "AddressBookHealth" },
);
const Performance = Type.Object(
  {
    status: Status,
    timestamp,
    uptime_seconds: Type.Integer(),
    database_latency_ms: Type.Number({ description: "The duration of the check in milliseconds." }),
  },
  { $id: "AddressBookPerformance" },
);
/** The timeout of the database check. */
const timeoutMs = 2_000;

async function probe({ control }: Platform) {
  const since = performance.now();
  const status = await within(() => sql`select 1`.execute(control), timeoutMs).then(
    () => "healthy" as const,
    () => "unhealthy" as const,
  );
  const latencyMs = Math.round((performance.now() - since) * 10) / 10;
  return { status, latencyMs, timestamp: new Date() };
}

export const healthRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
  r.get(
    "/api/health",
    {
      ...open,
      summary: "Reports that the server responds",
      response: Type.Object({ status: Type.Literal("healthy"), timestamp }),
    },
    () => ({ status: "healthy", timestamp: new Date() }),
  ),

  r.get(
    "/api/health/detailed",
    {
      ...open,
      summary: "Reports whether the database works",
      response: { 200: Detailed, 503: Detailed },
    },
    async ({ platform, status: answer }) => {
      const { status, timestamp } = await probe(platform);
      if (status === "unhealthy") answer(503);
      return { status, timestamp, components: { database: { status } } };
    },
  ),

  r.get(
    "/api/health/performance",
    {
      ...open,
      summary: "Reports the server's uptime and the database's latency",
      response: { 200: Performance, 503: Performance },
    },
    async ({ platform, status: answer }) => {
      const { status, timestamp, latencyMs } = await probe(platform);
      if (status === "unhealthy") answer(503);
      return {
        status,
        timestamp,
        uptime_seconds: Math.floor(process.uptime()),
        database_latency_ms: latencyMs,
      };
    },
  ),
];
