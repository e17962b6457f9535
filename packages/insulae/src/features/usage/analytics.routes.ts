import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { uuid } from "../../kernel/feature/fields.ts";
import { countTenants, listDays, rankTenants, totalLevels } from "./analytics.queries.ts";
import { daysOf } from "./days.ts";
import { Amount, Day } from "./usage.routes.ts";

const Counts = Type.Record(Type.String(), Amount);

const Ranking = Type.Array(
  Type.Object({
    tenant_id: uuid,
    key: Type.String(),
    name: Type.String(),
    plan: Type.String(),
    amount: Amount,
  }),
);

const Analytics = Type.Object(
  {
    from: Day,
    to: Day,
    tenants: Type.Object({
      total: Amount,
      by_status: Counts,
      by_plan: Counts,
      by_isolation: Counts,
    }),
    levels: Type.Object(
      { users: Amount, rows: Amount, storage_bytes: Amount },
      { description: "The sum over all tenants of each one's last measurement." },
    ),
    days: Type.Array(
      Type.Object({
        day: Day,
        requests: Amount,
        notifications: Amount,
        jobs: Amount,
        active_tenants: Amount,
        active_users: Amount,
        new_tenants: Amount,
        deleted_tenants: Amount,
      }),
    ),
    top: Type.Object({
      requests: Ranking,
      users: Ranking,
      rows: Ranking,
      storage_bytes: Ranking,
    }),
  },
  { $id: "PlatformAnalytics" },
);

const maxDays = 92;

export const analyticsRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/analytics",
    {
      permission: "platform",
      context: "core",
      summary: "Returns platform statistics: tenants, daily activity, heaviest users",
      description:
        "Days are in UTC, by default the last thirty, at most 92. A tenant is active on a day if its users made a request; a user, if they signed in or refreshed a session. `top` lists ten tenants for each metric.",
      query: Type.Object({ from: Type.Optional(Day), to: Type.Optional(Day) }),
      response: Analytics,
    },
    async ({ platform, query }) => {
      const days = daysOf(query, maxDays);
      const { control } = platform;
      await platform.usage.flush();
      return {
        from: days.from,
        to: days.to,
        tenants: await countTenants(control),
        levels: await totalLevels(control, days),
        days: await listDays(control, days),
        top: {
          requests: await rankTenants(control, days, "requests"),
          users: await rankTenants(control, days, "users"),
          rows: await rankTenants(control, days, "rows"),
          storage_bytes: await rankTenants(control, days, "storage_bytes"),
        },
      };
    },
  ),
];
