import { type Kysely, sql } from "kysely";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { countedMetrics } from "../../kernel/usage/counts.ts";
import type { Days } from "./days.ts";

/** Counts are summed over days; for levels the last day's value applies. */
const counted: ReadonlySet<string> = new Set(countedMetrics);

/** Metrics that are returned even if there is no data yet. */
const usualMetrics = [...countedMetrics, "active_users", "users", "rows", "storage_bytes"];

export interface Series {
  readonly metric: string;
  readonly kind: "count" | "level";
  /** For counts the sum, for levels the last value; null if never measured. */
  readonly total: number | null;
  readonly points: readonly { readonly day: string; readonly amount: number }[];
}

/** @param metric return only this one */
export async function listSeries(
  control: Kysely<ControlTables>,
  tenantId: TenantId,
  { from, to, all }: Days,
  metric?: string,
): Promise<readonly Series[]> {
  const isWanted = sql`tenant_id = ${tenantId}
    and (${metric ?? null}::text is null or metric = ${metric ?? null})`;
  const { rows } = await sql<{ metric: string; day: string; amount: string }>`
    select metric, day::text, amount
    from control.usage_daily
    where ${isWanted} and day between ${from}::date and ${to}::date
    order by day`.execute(control);
  const before = await sql<{ metric: string; amount: string }>`
    select distinct on (metric) metric, amount
    from control.usage_daily
    where ${isWanted} and day < ${from}::date
      and metric <> all (${[...countedMetrics, "active_users"]}::text[])
    order by metric, day desc`.execute(control);
  const levelBefore = new Map(before.rows.map((row) => [row.metric, Number(row.amount)]));
  const byMetric = Map.groupBy(rows, (row) => row.metric);
  const names =
    metric === undefined
      ? [...new Set([...usualMetrics, ...byMetric.keys(), ...levelBefore.keys()])]
      : [metric];
  return names.map((name): Series => {
    const points = (byMetric.get(name) ?? []).map(({ day, amount }) => ({
      day,
      amount: Number(amount),
    }));
    if (!counted.has(name)) {
      // A tenant is not measured on days without activity: its level stays the same.
      const total = points.at(-1)?.amount ?? levelBefore.get(name) ?? null;
      return { metric: name, kind: "level", total, points };
    }
    const amounts = new Map(points.map(({ day, amount }) => [day, amount]));
    return {
      metric: name,
      kind: "count",
      total: points.reduce((sum, { amount }) => sum + amount, 0),
      points: all.map((day) => ({ day, amount: amounts.get(day) ?? 0 })),
    };
  });
}

/** The last measurement of each level, and today's counts. */
export async function currentUsage(
  control: Kysely<ControlTables>,
  tenantId: TenantId,
  today: string,
): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ metric: string; amount: string }>`
    select distinct on (metric) metric, amount
    from control.usage_daily
    where tenant_id = ${tenantId}
      and (day = ${today}::date or metric <> all (${[...countedMetrics]}::text[]))
    order by metric, day desc`.execute(control);
  return new Map(rows.map(({ metric, amount }) => [metric, Number(amount)]));
}
