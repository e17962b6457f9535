/**
 * Measures levels: how many users, rows and bytes a tenant has. Its tables are measured in the
 * tenant's own scope (`app.measure_usage`); the last measurement of a day is kept as that day's.
 *
 *   counted (`counts.ts`) or activated ──► wanted ──hourly──► claimed, twenty at a time ──► measured
 *
 * A tenant without activity since its last measurement is not measured again, because nothing
 * changed. A request for usage measures it if the last measurement is over a minute old. The node
 * that updates the timestamp first does the work.
 */
import { type Kysely, sql } from "kysely";
import { deleteInBatches } from "../../kernel/data/delete-in-batches.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { Tenant, TenantStatus } from "../../kernel/model/tenant.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
import { countedMetrics } from "../../kernel/usage/counts.ts";
import { measureTenant } from "../../kernel/usage/measure.ts";

type Control = Kysely<ControlTables>;
type Services = Pick<Platform, "control" | "withTenant">;

/** Long enough to compare a month with the same month of the previous year. */
const keptDays = 400;
const forgottenAtOnce = 5_000;
const askedSeconds = 60;
/** A little under an hour, so that the hourly job does not skip a tenant by a second. */
const hourlySeconds = 3_000;
const claimedAtOnce = 20;
const measuredAtOnce = 4;

/** Measures the tenant, unless it was measured within the last minute. */
export async function refreshMeasurement(services: Services, tenant: Tenant): Promise<void> {
  if (await claimOne(services.control, tenant.id)) await measure(services, tenant);
}

/** Measures the active tenants that are due, and deletes old measurements. */
export async function measureAll(
  services: Services,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { control } = services;
  const work = async () => {
    for (let claimed = claimedAtOnce; claimed === claimedAtOnce; ) {
      const rows = await claimWanted(control);
      claimed = rows.length;
      for (const { tenant_id: id, status } of rows) {
        if (signal.aborted) return;
        // A tenant that is activated again becomes wanted again.
        if (status !== "active") continue;
        await measure(services, id).catch(async (error: unknown) => {
          log.warn({ err: error, tenant_id: id }, "Could not measure a tenant's usage");
          await wantAgain(control, id);
        });
      }
    }
  };
  await Promise.all(Array.from({ length: measuredAtOnce }, work));
  if (signal.aborted) return;
  await countActiveUsers(control);
  await forgetOld(control);
}

async function measure(services: Services, tenant: Tenant | TenantId): Promise<void> {
  const { tenantId, amounts } = await measureTenant(services, tenant);
  const names = amounts.map(({ name }) => name);
  await sql`
    insert into control.usage_daily (tenant_id, day, metric, amount)
    select ${tenantId}, (now() at time zone 'UTC')::date, measured.metric, measured.amount
    from unnest(${names}::text[], ${amounts.map(({ amount }) => amount)}::bigint[])
      as measured (metric, amount)
    order by measured.metric
    on conflict (tenant_id, day, metric) do update set amount = excluded.amount`.execute(
    services.control,
  );
}

/** @returns whether this node may measure it now */
async function claimOne(control: Control, id: TenantId): Promise<boolean> {
  const { rows } = await sql`
    insert into control.usage_measured as last (tenant_id, at)
    select id, now() from control.tenants where id = ${id} and status = 'active'
    on conflict (tenant_id) do update set at = excluded.at, wanted = false
      where last.at < now() - make_interval(secs => ${askedSeconds})
    returning tenant_id`.execute(control);
  return rows.length > 0;
}

/** @returns the tenants that this node has claimed, longest waiting first */
async function claimWanted(control: Control) {
  const { rows } = await sql<{ tenant_id: TenantId; status: TenantStatus }>`
    update control.usage_measured as last set at = now(), wanted = false
    from (
      select tenant_id from control.usage_measured
      where wanted and at < now() - make_interval(secs => ${hourlySeconds})
      order by at limit ${claimedAtOnce}
      for update skip locked
    ) as due
    join control.tenants on tenants.id = due.tenant_id
    where last.tenant_id = due.tenant_id
    returning last.tenant_id, tenants.status`.execute(control);
  return rows;
}

const wantAgain = (control: Control, id: TenantId) =>
  sql`update control.usage_measured set wanted = true where tenant_id = ${id}`.execute(control);

/** Keeps a level's last measurement by moving it to today, until there is a newer one. */
async function forgetOld(control: Control): Promise<void> {
  const first = sql`(now() at time zone 'UTC')::date - ${keptDays}::integer`;
  for (let forgotten = forgottenAtOnce; forgotten === forgottenAtOnce; ) {
    const { rows } = await sql<{ forgotten: number }>`
      with old as (
        delete from control.usage_daily
        where ctid = any (array(
          select ctid from control.usage_daily where day < ${first}
          order by day desc limit ${forgottenAtOnce}))
        returning tenant_id, day, metric, amount
      ), kept as (
        insert into control.usage_daily (tenant_id, day, metric, amount)
        select distinct on (old.tenant_id, old.metric)
          old.tenant_id, (now() at time zone 'UTC')::date, old.metric, old.amount
        from old
        where old.metric <> all (${[...countedMetrics, "active_users"]}::text[])
          and not exists (
            select from control.usage_daily newer
            where newer.tenant_id = old.tenant_id and newer.metric = old.metric and newer.day >= ${first})
        order by old.tenant_id, old.metric, old.day desc
        on conflict (tenant_id, day, metric) do nothing
      )
      select count(*)::integer as forgotten from old`.execute(control);
    forgotten = rows[0]?.forgotten ?? 0;
  }
  // A node that has been away for longer than this does not return.
  await deleteInBatches(control, "control.usage_flushes", sql`at < now() - interval '7 days'`);
}

/** Counts today's active people by their sign-in sessions. */
async function countActiveUsers(control: Control): Promise<void> {
  await sql`
    insert into control.usage_daily as known (tenant_id, day, metric, amount)
    select tenant_id, (now() at time zone 'UTC')::date, 'active_users', count(distinct subject_id)
    from control.sessions
    where tenant_id is not null
      and last_used_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'
    group by tenant_id
    order by tenant_id
    on conflict (tenant_id, day, metric) do update
      set amount = greatest(known.amount, excluded.amount)`.execute(control);
}
