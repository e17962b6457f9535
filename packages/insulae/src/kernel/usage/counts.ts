/**
 * Counts tenants' daily usage without a write per event:
 *
 *   count() ──► numbers in memory ──every 10 s──► a batch, numbered ──► one statement: added up
 *                                                  │      ▲
 *                                                  └──────┘ resent until it is known to have
 *                                                  arrived
 *
 * A batch never changes once it was sent, and the database remembers the last batch number that it
 * added for each node. So nothing is lost or added twice, whatever happens to a statement. A
 * process that is killed loses what it has not sent yet (at most ten seconds).
 *
 * Days are in UTC. The reply to a batch contains the totals of all nodes, which daily quotas are
 * compared with: a quota may be exceeded by what happens within those ten seconds.
 */
import { randomUUID } from "node:crypto";
import { type QueryExecutorProvider, sql } from "kysely";
import type { QuotaName } from "../../config/quotas.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Plans, quotaExceededBy } from "../tenancy/plans.ts";

export const countedMetrics = ["requests", "notifications", "jobs"] as const;
export type CountedMetric = (typeof countedMetrics)[number];

export interface UsageCounts {
  /**
   * Counts usage of the tenant.
   *
   * @throws quotaExceeded if its plan allows no more today; then nothing is counted
   */
  count(tenant: Tenant, metric: CountedMetric, amount?: number): void;
  /** Writes what has been counted. Does not throw: what can't be written is kept. */
  flush(): Promise<void>;
  start(): void;
  /** Writes what is left. */
  close(): Promise<void>;
}

export interface UsageCountsOptions {
  /** The control plane. */
  readonly control: QueryExecutorProvider;
  readonly plans: Pick<Plans, "quotaOf">;
  readonly log: Logger;
  /** The time in milliseconds since 1970. */
  readonly now?: () => number;
  /** How many tenants a batch can contain. Further ones are not counted, which is logged. */
  readonly maxTenants?: number;
}

type Amounts = Partial<Record<CountedMetric, number>>;
type Day = Map<TenantId, Amounts>;

interface Batch {
  readonly sequence: number;
  readonly tenants: readonly TenantId[];
  readonly days: readonly string[];
  readonly metrics: readonly CountedMetric[];
  readonly amounts: readonly number[];
}

const everyMs = 10_000;
const dayMs = 86_400_000;

const quotaNames = {
  requests: "requests_per_day",
  notifications: "notifications_per_day",
  jobs: "jobs_per_day",
} as const satisfies Record<CountedMetric, QuotaName>;

/** The date of a day number since 1970. */
const dateOf = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10);

export function createUsageCounts(options: UsageCountsOptions): UsageCounts {
  const { control, plans, log, now = Date.now, maxTenants = 100_000 } = options;
  const node = randomUUID();
  /** What is not in a batch yet, by day. */
  let waiting = new Map<number, Day>();
  let sending: Batch | undefined;
  let sequence = 0;
  /**
   * The totals of `totalsDay` in batches: this node's, and all nodes' according to the last reply.
   */
  let totals: Day = new Map();
  let totalsDay = 0;
  let isFull = false;

  const amountsOf = (day: number, id: TenantId): Amounts | undefined => {
    let tenants = waiting.get(day);
    if (!tenants) {
      tenants = new Map();
      waiting.set(day, tenants);
    }
    const known = tenants.get(id);
    if (known) return known;
    if (tenants.size >= maxTenants) {
      if (!isFull)
        log.warn({ tenants: maxTenants }, "Too many tenants; the usage of some is not counted");
      isFull = true;
      return undefined;
    }
    const made: Amounts = {};
    tenants.set(id, made);
    return made;
  };

  const noteTotal = (id: TenantId, metric: CountedMetric, amount: number): void => {
    const known = totals.get(id);
    if (known) known[metric] = amount;
    else totals.set(id, { [metric]: amount });
  };

  const toBatch = (): Batch | undefined => {
    const today = Math.floor(now() / dayMs);
    if (today !== totalsDay) totals = new Map();
    totalsDay = today;
    const rows = [...waiting].flatMap(([day, tenants]) =>
      [...tenants].flatMap(([id, amounts]) =>
        countedMetrics.map((metric) => ({ day, id, metric, amount: amounts[metric] ?? 0 })),
      ),
    );
    waiting = new Map();
    isFull = false;
    const some = rows.filter(({ amount }) => amount > 0);
    if (some.length === 0) return undefined;
    for (const { day, id, metric, amount } of some) {
      if (day === today) noteTotal(id, metric, (totals.get(id)?.[metric] ?? 0) + amount);
    }
    sequence += 1;
    return {
      sequence,
      tenants: some.map(({ id }) => id),
      days: some.map(({ day }) => dateOf(day)),
      metrics: some.map(({ metric }) => metric),
      amounts: some.map(({ amount }) => amount),
    };
  };

  /** Sorted, so that two nodes can't deadlock. */
  const add = (batch: Batch) =>
    sql<{ tenant_id: TenantId; day: string; metric: CountedMetric; amount: string }>`
      with accepted as (
        insert into control.usage_flushes as last (node, sequence)
        values (${node}, ${batch.sequence})
        on conflict (node) do update set sequence = excluded.sequence, at = now()
          where last.sequence < excluded.sequence
        returning node
      ), wanted as (
        -- Once between two measurements, however much a tenant does meanwhile.
        insert into control.usage_measured as known (tenant_id, at, wanted)
        select id, '-infinity', true from control.tenants
        where id = any (${[...new Set(batch.tenants)]}::uuid[]) and exists (select from accepted)
          and (status <> 'deleted' or erase_after is not null)
        order by id
        on conflict (tenant_id) do update set wanted = true where not known.wanted)
      insert into control.usage_daily as known (tenant_id, day, metric, amount)
      select counted.tenant_id, counted.day, counted.metric, counted.amount
      from unnest(
        ${batch.tenants}::uuid[], ${batch.days}::date[], ${batch.metrics}::text[],
        ${batch.amounts}::bigint[]
      ) as counted (tenant_id, day, metric, amount)
      join control.tenants on tenants.id = counted.tenant_id
        -- Nothing is added to what is erased.
        and (tenants.status <> 'deleted' or tenants.erase_after is not null)
      where exists (select from accepted)
      order by counted.tenant_id, counted.day, counted.metric
      on conflict (tenant_id, day, metric) do update set amount = known.amount + excluded.amount
      returning tenant_id, day::text, metric, amount`.execute(control);

  const learn = (rows: Awaited<ReturnType<typeof add>>["rows"]): void => {
    for (const { tenant_id: id, day, metric, amount } of rows) {
      if (day === dateOf(totalsDay)) noteTotal(id, metric, Number(amount));
    }
  };

  const deliver = async (batch: Batch): Promise<void> => {
    learn((await add(batch)).rows);
    sending = undefined;
  };

  const send = async (): Promise<void> => {
    try {
      // It may have arrived already; then it is not added again.
      if (sending) await deliver(sending);
      sending = toBatch();
      if (sending) await deliver(sending);
    } catch (error) {
      log.warn({ err: error }, "Could not write usage counts; will retry");
    }
  };

  let flushing: Promise<void> = Promise.resolve();
  const flush = (): Promise<void> => {
    flushing = flushing.then(send);
    return flushing;
  };
  let timer: NodeJS.Timeout | undefined;

  return {
    flush,
    count(tenant, metric, amount = 1) {
      const day = Math.floor(now() / dayMs);
      const amounts = amountsOf(day, tenant.id);
      if (!amounts) return;
      const since = amounts[metric] ?? 0;
      const quota = quotaNames[metric];
      const limit = plans.quotaOf(tenant, quota);
      if (limit !== undefined) {
        const before = day === totalsDay ? (totals.get(tenant.id)?.[metric] ?? 0) : 0;
        if (before + since + amount > limit) {
          throw quotaExceededBy({ quota, limit, plan: tenant.plan }, now());
        }
      }
      amounts[metric] = since + amount;
    },
    start() {
      timer = setInterval(flush, everyMs);
      timer.unref();
    },
    close() {
      clearInterval(timer);
      return flush();
    },
  };
}
