/**
 * What tenants have: users, rows, bytes. It is measured in the tenant's own scope by its tables
 * (`app.measure_usage`), once an hour, and when somebody asks and the last time is a minute ago; the
 * last measurement of a day stays as that day's. Of several nodes that want to measure a tenant, the
 * one that writes down the time does.
 */
import { type Kysely, sql } from "kysely";
import type { ControlTables } from "../../kernel/database/control-tables.ts";
import type { Platform } from "../../kernel/platform.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
import type { Tenant, TenantId } from "../../kernel/tenancy/tenant.ts";
import { measureTenant } from "../../kernel/usage/measure.ts";

type Services = Pick<Platform, "control" | "withTenant">;

/** A month can be compared with that of the year before. */
const keptDays = 400;
const askedSeconds = 60;
/** The hourly job must not find that the last one was a moment less than an hour ago. */
const hourlySeconds = 3_000;

/** Measures the tenant, if nobody has within a minute. */
export async function refreshMeasurement(services: Services, tenant: Tenant): Promise<void> {
  const [mine] = await claim(services.control, askedSeconds, tenant.id);
  if (mine !== undefined) await measure(services, tenant);
}

/** Measures all active tenants that nobody has within the hour, and forgets what is old. */
export async function measureAll(
  services: Services,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { control } = services;
  for (;;) {
    const ids = await claim(control, hourlySeconds);
    for (const id of ids) {
      if (signal.aborted) return;
      await measure(services, id).catch((error: unknown) =>
        log.warn({ err: error, tenant_id: id }, "A tenant could not be measured"),
      );
    }
    if (ids.length === 0) break;
  }
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

/** @returns those that are this node's to measure now. */
async function claim(
  control: Kysely<ControlTables>,
  seconds: number,
  id?: TenantId,
): Promise<readonly TenantId[]> {
  const due = sql`now() - make_interval(secs => ${seconds})`;
  const { rows } = await sql<{ tenant_id: TenantId }>`
    insert into control.usage_measured as last (tenant_id, at)
    select tenants.id, now()
    from control.tenants
    left join control.usage_measured known on known.tenant_id = tenants.id
    where tenants.status = 'active'
      and (known.at is null or known.at < ${due})
      and (${id ?? null}::uuid is null or tenants.id = ${id ?? null})
    order by tenants.id
    limit 20
    on conflict (tenant_id) do update set at = excluded.at where last.at < ${due}
    returning tenant_id`.execute(control);
  return rows.map(({ tenant_id }) => tenant_id);
}

async function forgetOld(control: Kysely<ControlTables>): Promise<void> {
  await sql`
    delete from control.usage_daily
    where day < (now() at time zone 'UTC')::date - ${keptDays}::integer`.execute(control);
  // A node that is away for longer than this is not coming back.
  await sql`
    delete from control.usage_flushes where at < now() - interval '7 days'`.execute(control);
}

/** People who were here today, by their sign-in sessions. */
async function countActiveUsers(control: Kysely<ControlTables>): Promise<void> {
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
