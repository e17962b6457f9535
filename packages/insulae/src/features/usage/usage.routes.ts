import { Type } from "typebox";
import { quotaNames } from "../../config/quotas.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { nullable, oneOf, uuid } from "../../kernel/feature/fields.ts";
import { permissionDenied } from "../../kernel/identity/errors.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { TenantParams, tenantFor } from "../tenants/tenants.feature.ts";
import { daysOf, today } from "./days.ts";
import { refreshMeasurement } from "./measurements.ts";
import { currentUsage, listSeries } from "./usage.queries.ts";

export const Day = Type.String({ format: "date", examples: ["2026-03-01"] });
export const Amount = Type.Integer({ minimum: 0 });

const Series = Type.Object(
  {
    metric: Type.String({ examples: ["requests", "users", "storage_bytes"] }),
    kind: Type.Union([Type.Literal("count"), Type.Literal("level")], {
      description: "count: events during the day. level: the amount at its end.",
    }),
    total: nullable(
      Type.Integer({
        description: "For a count the sum over the days, for a level the last value.",
      }),
    ),
    points: Type.Array(Type.Object({ day: Day, amount: Amount }), {
      description: "For a count every day, for a level the days on which it was measured.",
    }),
  },
  { $id: "UsageSeries" },
);

const QuotaView = Type.Object(
  {
    name: oneOf(quotaNames),
    limit: nullable(Type.Integer({ description: "null: no limit." })),
    used: Amount,
  },
  { $id: "Quota" },
);

const Usage = Type.Object(
  {
    tenant_id: uuid,
    plan: Type.String(),
    from: Day,
    to: Day,
    quotas: Type.Array(QuotaView),
    series: Type.Array(Series),
  },
  { $id: "TenantUsage" },
);

/** The retention of measurements. */
const maxDays = 400;

export const usageRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/tenants/:id/usage",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      summary: "Returns a tenant's usage by day and its quotas",
      description:
        "For users with `usage:read`, the owner's account, and platform administrators. Days are in UTC, by default the last thirty, at most 400. Counts of other nodes are at most ten seconds old, levels (users, rows, storage) at most a minute.",
      params: TenantParams,
      query: Type.Object({
        from: Type.Optional(Day),
        to: Type.Optional(Day),
        metric: Type.Optional(
          Type.String({
            pattern: "^[a-z][a-z_]{0,62}$",
            description: "Only this metric: `requests`, `users`, `rows`, `storage_bytes` …",
          }),
        ),
      }),
      response: Usage,
      errors: [tenantNotFound, permissionDenied],
    },
    async ({ platform, user, params, query }) => {
      const tenant = await tenantFor(platform, user, params.id, "usage:read");
      const days = daysOf(query, maxDays);
      const { control, plans } = platform;
      await platform.usage.flush();
      await refreshMeasurement(platform, tenant);
      const used = await currentUsage(control, tenant.id, today());
      return {
        tenant_id: tenant.id,
        plan: tenant.plan,
        from: days.from,
        to: days.to,
        quotas: quotaNames.map((name) => ({
          name,
          limit: plans.quotaOf(tenant, name) ?? null,
          used: used.get(name.replace(/_per_day$/, "")) ?? 0,
        })),
        series: await listSeries(control, tenant.id, days, query.metric),
      };
    },
  ),
];
