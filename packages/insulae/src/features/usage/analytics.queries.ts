import { type Kysely, type RawBuilder, sql } from "kysely";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import type { Days } from "./days.ts";

type Control = Kysely<ControlTables>;

/** The number of living tenants by status, plan and isolation. */
export async function countTenants(control: Control) {
  const { rows } = await sql<{ status: string; plan: string; isolation: string; count: number }>`
    select tenants.status, tenants.plan, placements.isolation, count(*)::integer as count
    from control.tenants
    join control.placements on placements.id = tenants.placement_id
    where tenants.status in ('active', 'suspended')
    group by tenants.status, tenants.plan, placements.isolation`.execute(control);
  const by = (part: "status" | "plan" | "isolation"): Record<string, number> => {
    const counts = new Map<string, number>();
    for (const row of rows) counts.set(row[part], (counts.get(row[part]) ?? 0) + row.count);
    return Object.fromEntries([...counts].sort());
  };
  return {
    total: rows.reduce((sum, { count }) => sum + count, 0),
    by_status: by("status"),
    by_plan: by("plan"),
    by_isolation: by("isolation"),
  };
}

/** The platform's activity on each day. */
export async function listDays(control: Control, { from, to }: Days) {
  const { rows } = await sql<Record<DayNumber, number> & { day: string }>`
    select days.day::date::text as day,
      coalesce(used.requests, 0)::float8 as requests,
      coalesce(used.notifications, 0)::float8 as notifications,
      coalesce(used.jobs, 0)::float8 as jobs,
      coalesce(used.active_tenants, 0)::float8 as active_tenants,
      coalesce(used.active_users, 0)::float8 as active_users,
      (select count(*) from control.tenants
        where (created_at at time zone 'UTC')::date = days.day and status <> 'provisioning'
      )::float8 as new_tenants,
      (select count(*) from control.tenants
        where (deleted_at at time zone 'UTC')::date = days.day)::float8 as deleted_tenants
    from generate_series(${from}::timestamp, ${to}::timestamp, interval '1 day') as days (day)
    left join (
      select day,
        sum(amount) filter (where metric = 'requests') as requests,
        sum(amount) filter (where metric = 'notifications') as notifications,
        sum(amount) filter (where metric = 'jobs') as jobs,
        count(*) filter (where metric = 'requests') as active_tenants,
        sum(amount) filter (where metric = 'active_users') as active_users
      from control.usage_daily
      where day between ${from}::date and ${to}::date
        and metric in ('requests', 'notifications', 'jobs', 'active_users')
      group by day
    ) used on used.day = days.day
    order by days.day`.execute(control);
  return rows;
}

type DayNumber =
  | "requests"
  | "notifications"
  | "jobs"
  | "active_tenants"
  | "active_users"
  | "new_tenants"
  | "deleted_tenants";

export interface RankedTenant {
  readonly tenant_id: TenantId;
  readonly key: string;
  readonly name: string;
  readonly plan: string;
  readonly amount: number;
}

/** The tenants with the largest amounts: sums for counts, the value at the end for levels. */
export async function rankTenants(
  control: Control,
  { from, to }: Days,
  metric: "requests" | "storage_bytes" | "users" | "rows",
): Promise<readonly RankedTenant[]> {
  const amounts =
    metric === "requests"
      ? sql`
          select tenant_id, sum(amount) as amount from control.usage_daily
          where metric = ${metric} and day between ${from}::date and ${to}::date
          group by tenant_id`
      : sql`
          select tenants.id as tenant_id, level.amount
          from control.tenants cross join lateral ${levelOf(sql.lit(metric), to)} as level`;
  const { rows } = await sql<RankedTenant>`
    select used.tenant_id, tenants.key, tenants.name, tenants.plan, used.amount::float8 as amount
    from (${amounts}) used
    join control.tenants on tenants.id = used.tenant_id
    where tenants.status in ('active', 'suspended') and used.amount > 0
    order by used.amount desc, used.tenant_id
    limit 10`.execute(control);
  return rows;
}

/**
 * The last level measured by that day. Inactive tenants are not measured: theirs has not changed.
 */
const levelOf = (metric: RawBuilder<unknown>, to: string) => sql`(
  select amount from control.usage_daily
  where tenant_id = tenants.id and metric = ${metric} and day <= ${to}::date
  order by day desc limit 1)`;

/** The sum over all living tenants of each one's last measurement. */
export async function totalLevels(control: Control, { to }: Days) {
  const { rows } = await sql<{ metric: string; amount: number }>`
    select wanted.metric, sum(level.amount)::float8 as amount
    from control.tenants
    cross join unnest(array['users', 'rows', 'storage_bytes']) as wanted (metric)
    cross join lateral ${levelOf(sql`wanted.metric`, to)} as level
    where tenants.status in ('active', 'suspended')
    group by wanted.metric`.execute(control);
  const amounts = new Map(rows.map(({ metric, amount }) => [metric, amount]));
  return {
    users: amounts.get("users") ?? 0,
    rows: amounts.get("rows") ?? 0,
    storage_bytes: amounts.get("storage_bytes") ?? 0,
  };
}
