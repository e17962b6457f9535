/**
 * Jobs sent in a tenant's transaction exist if and only if it commits. The queue may be in another
 * database, so the job is first a row in the tenant's own outbox:
 *
 *   tenant's transaction: … insert into outbox … commit ──► queue (the row's id is the job's)
 *                                                      └──► delete the row
 *
 * The sending process forwards the job to the queue from memory as soon as the commit succeeds. If
 * it dies first, the row stays, and must be found among a thousand databases without querying them
 * all. So before a process writes to a tenant's outbox it sets a mark in the control plane
 * (`control.outbox_marks`), once for everything it sends to this tenant within a minute; the mark
 * expires after two. A sweep visits the tenants whose marks have expired. A live process deletes
 * its marks when everything it sent has arrived, so only the tenants of dead processes are visited.
 *
 * No row is ever inserted under an expired mark: the insert checks the mark's expiry while holding
 * a shared lock until the end of its transaction, and the sweep takes the same lock exclusively.
 *
 * Forwarding is retried until it succeeds, and forwarding twice adds one job.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, type QueryExecutorProvider, type Selectable, sql } from "kysely";
import type { TenantDatabase } from "../data/tenant-database.ts";
import { onSettled, type TransactionOutcome } from "../data/transaction.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";

/** A row of the outbox. */
export interface SentJob {
  readonly id: string;
  readonly job: string;
  readonly data: unknown;
  readonly key: string | undefined;
  readonly startAfter: Date | undefined;
}

export interface Outbox {
  /** Writes the job in the transaction and forwards it after the commit. */
  write(tenant: Tenant, job: SentJob, tx: QueryExecutorProvider): Promise<void>;
  /** Visits the outboxes whose marks have expired. @returns the number of tenants visited */
  sweep(): Promise<number>;
  /** Forwards pending jobs and deletes the marks. */
  close(): Promise<void>;
}

export interface OutboxOptions {
  readonly control: Kysely<ControlTables>;
  readonly databaseOf: (tenant: Tenant) => TenantDatabase<OutboxTables>;
  readonly findTenant: (id: TenantId) => Promise<Tenant | undefined>;
  /** Adds jobs to the queue; existing ones are left alone. */
  readonly pass: (tenant: Tenant, jobs: readonly SentJob[]) => Promise<void>;
  readonly log: Logger;
  /** The lifetime of a mark. */
  readonly markSeconds?: number;
}

export interface OutboxTables {
  outbox: {
    id: string;
    job: string;
    data: unknown;
    key: string | null;
    start_after: Date | null;
  };
}

const columns = ["id", "job", "data", "key", "start_after"] as const;
type Row = Selectable<OutboxTables["outbox"]>;

interface Mark {
  /** As text from the database: a `Date` would lose its microseconds. */
  readonly until: Promise<string>;
  /** By this process's monotonic clock. */
  readonly renewAt: number;
}

/** What this process has written for a tenant and not forwarded yet. */
interface Pending {
  readonly tenant: Tenant;
  /** The number of open transactions. */
  open: number;
  committed: string[];
  /** Whether the outcome of a commit is unknown. */
  inDoubt: boolean;
  relaying: Promise<void> | undefined;
}

/** Number of jobs forwarded at once. */
const batch = 500;
/** How long closing waits for jobs that are being forwarded. */
const closeGraceMs = 1_000;

const key = (id: TenantId) => sql`hashtextextended(${`insulae outbox ${id}`}, 0)`;

export function createOutbox(options: OutboxOptions): Outbox {
  const { control, databaseOf, findTenant, pass, log, markSeconds = 120 } = options;
  const node = randomUUID();
  const marks = new Map<TenantId, Mark>();
  const pending = new Map<TenantId, Pending>();
  const closing = new AbortController();

  /** @returns until when this process may write to the tenant's outbox */
  const mark = (id: TenantId): Promise<string> => {
    const known = marks.get(id);
    if (known && performance.now() < known.renewAt) return known.until;
    const until = sql<{ until: string }>`
      insert into control.outbox_marks (tenant_id, node, until)
      values (${id}, ${node}, clock_timestamp() + make_interval(secs => ${markSeconds}))
      on conflict (tenant_id, node) do update set until = excluded.until
      returning until::text`
      .execute(control)
      .then(({ rows }) => rows[0]?.until ?? "-infinity");
    until.catch(() => marks.delete(id));
    marks.set(id, { until, renewAt: performance.now() + markSeconds * 500 });
    return until;
  };

  /** @returns whether the mark was still valid, and whether the transaction is the tenant's */
  const insert = async (
    { id }: Tenant,
    { startAfter, ...job }: SentJob,
    tx: QueryExecutorProvider,
  ): Promise<boolean> => {
    const { numAffectedRows } = await sql`
      with held as materialized (select pg_advisory_xact_lock_shared(${key(id)})::text as lock)
      insert into outbox (id, job, data, key, start_after)
      select ${job.id}, ${job.job}, ${JSON.stringify(job.data)}::jsonb, ${job.key ?? null},
        ${startAfter?.toISOString() ?? null}::timestamptz
      from held
      where lock is not null and clock_timestamp() < ${await mark(id)}::timestamptz
        and app.current_tenant_id() = ${id}`.execute(tx);
    return numAffectedRows === 1n;
  };

  const pendingOf = (tenant: Tenant): Pending => {
    const known = pending.get(tenant.id);
    if (known) return known;
    const made = { tenant, open: 0, committed: [], inDoubt: false, relaying: undefined };
    pending.set(tenant.id, made);
    return made;
  };

  const settled = (of: Pending, id: string, outcome: TransactionOutcome): void => {
    of.open -= 1;
    if (outcome === "committed") of.committed.push(id);
    else if (outcome === "unknown") of.inDoubt = true;
    relay(of);
  };

  const relay = (of: Pending): void => {
    of.relaying ??= relayAll(of).finally(() => {
      of.relaying = undefined;
      const left = of.inDoubt || of.committed.length > 0;
      if (left && !closing.signal.aborted) relay(of);
      else if (!left && of.open === 0) pending.delete(of.tenant.id);
    });
  };

  const relayAll = async (of: Pending): Promise<void> => {
    for (let failures = 0; of.inDoubt || of.committed.length > 0; ) {
      const ids = of.committed.splice(0, batch);
      try {
        if (of.inDoubt) {
          await visit(of.tenant);
          of.inDoubt = false;
        }
        // Read the rows again: a savepoint may have rolled some back.
        if (ids.length > 0) await passOn(of.tenant, await rowsOf(of.tenant, ids));
        failures = 0;
      } catch (error) {
        of.committed.unshift(...ids);
        log.warn(
          { err: error, tenant_id: of.tenant.id },
          "Could not forward jobs to the queue yet; will retry",
        );
        const waitMs = Math.min(100 * 2 ** failures, 10_000) * (0.5 + Math.random());
        failures += 1;
        await sleep(waitMs, undefined, { ref: false, signal: closing.signal }).catch(() => {});
        // A sweep that finds the mark will forward them.
        if (closing.signal.aborted) return;
      }
    }
  };

  const rowsOf = (tenant: Tenant, ids: readonly string[]): Promise<Row[]> =>
    databaseOf(tenant).selectFrom("outbox").select(columns).where("id", "in", ids).execute();

  /**
   * Forwards the rows in the tenant's outbox, whoever wrote them, after waiting for open writers.
   */
  const visit = async (tenant: Tenant): Promise<void> => {
    for (;;) {
      const rows = await databaseOf(tenant)
        .transaction()
        .execute(async (tx) => {
          await sql`select pg_advisory_xact_lock(${key(tenant.id)})`.execute(tx);
          return tx.selectFrom("outbox").select(columns).orderBy("id").limit(batch).execute();
        });
      await passOn(tenant, rows);
      if (rows.length < batch) return;
    }
  };

  const passOn = async (tenant: Tenant, rows: readonly Row[]): Promise<void> => {
    if (rows.length === 0) return;
    const jobs = rows.map(({ start_after, ...row }) => ({
      ...row,
      key: row.key ?? undefined,
      startAfter: start_after ?? undefined,
    }));
    await pass(tenant, jobs);
    const ids = jobs.map(({ id }) => id);
    await databaseOf(tenant).deleteFrom("outbox").where("id", "in", ids).execute();
  };

  /** Deletes this process's marks for tenants with nothing pending. */
  const unmark = async (): Promise<void> => {
    const now = performance.now();
    const done = [...marks].filter(
      ([id, { renewAt }]) => !pending.has(id) && (closing.signal.aborted || renewAt < now),
    );
    if (done.length === 0) return;
    for (const [id] of done) marks.delete(id);
    const ids = done.map(([id]) => id);
    const untils = await Promise.all(done.map(([, { until }]) => until));
    // Except marks that were renewed meanwhile.
    await sql`
      delete from control.outbox_marks
      where node = ${node}
        and (tenant_id, until) in (
          select * from unnest(${ids}::uuid[], ${untils}::timestamptz[]))`.execute(control);
  };

  return {
    async write(tenant, job, tx) {
      const of = pendingOf(tenant);
      of.open += 1;
      await onSettled(tx, (outcome) => settled(of, job.id, outcome)).catch((error: unknown) => {
        of.open -= 1;
        throw error;
      });
      if (await insert(tenant, job, tx)) return;
      marks.delete(tenant.id);
      if (await insert(tenant, job, tx)) return;
      throw new Error(`the transaction does not belong to the tenant ${tenant.id}`);
    },
    async sweep() {
      await unmark();
      const marked = await sql<{ tenant_id: TenantId; node: string; until: string }>`
        select tenant_id, node, until::text from control.outbox_marks
        where until < now() order by until limit 1000`.execute(control);
      for (const { tenant_id: id, node: marker, until } of marked.rows) {
        try {
          const tenant = await findTenant(id);
          if (tenant) await visit(tenant);
          await sql`
            delete from control.outbox_marks
            where tenant_id = ${id} and node = ${marker} and until = ${until}::timestamptz`.execute(
            control,
          );
        } catch (error) {
          log.warn({ err: error, tenant_id: id }, "Could not read an outbox yet; will retry");
        }
      }
      return marked.rows.length;
    },
    async close() {
      closing.abort();
      const relaying = [...pending.values()].map((of) => of.relaying);
      await Promise.race([Promise.all(relaying), sleep(closeGraceMs, undefined, { ref: false })]);
      await unmark().catch((error: unknown) => {
        log.warn(
          { err: error },
          "Could not delete outbox marks; another node will visit the outboxes",
        );
      });
    },
  };
}
