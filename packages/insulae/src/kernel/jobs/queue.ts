/**
 * The queue: pg-boss in the control plane's database, over our own connections. pg-boss is not
 * started: it runs no timers, polls nothing and changes no tables; we only call it to fetch,
 * complete and fail jobs. Each tenant has a queue named by its id, and so has the platform, which
 * makes turns between tenants turns between queues (see `worker.ts`). A queue is a row created with
 * its first job; nothing lists all of them.
 *
 * For what pg-boss lacks, we run our own statements on its tables: add jobs to many queues at once,
 * find queues with work, find expired leases, report progress.
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { Db, PgBoss } from "pg-boss";
import { deleteInBatches } from "../data/delete-in-batches.ts";
import type { Broker } from "../engine/broker.ts";
import type { Target } from "../engine/target.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { platformQueue } from "./queue-names.ts";

/** The content of a queued job: its name and data. */
export interface Payload {
  readonly job: string;
  readonly data: unknown;
}

export interface NewJob extends Payload {
  readonly id: string;
  /** Don't add it while a job with the same key waits for its first attempt. */
  readonly key?: string | undefined;
  readonly startAfter?: Date | undefined;
  readonly retries: number;
  readonly backoffSeconds: number;
  readonly priority: number;
  readonly timeoutSeconds: number;
}

/** A background job has a priority below 0. */
export type JobKind = "ordinary" | "background";

/** A job that this process has leased. */
export interface TakenJob {
  readonly id: string;
  /** The tenant's id, or `platformQueue`. */
  readonly queue: string;
  readonly payload: Payload;
  /** Incremented each time the job is taken; tells a late finisher that it has lost the job. */
  readonly retryCount: number;
}

/** A job for one of many queues. */
export interface QueuedJob extends NewJob {
  readonly queue: string;
}

export interface JobQueue {
  /**
   * Adds jobs. A job whose id exists is skipped.
   *
   * @param tx a transaction of the control plane
   */
  add(queue: string, jobs: readonly NewJob[], tx?: QueryExecutorProvider): Promise<void>;
  /** The same for many queues, in one statement. */
  addEach(jobs: readonly QueuedJob[], tx?: QueryExecutorProvider): Promise<void>;
  /**
   * The queues of active tenants with a job of this kind that can run now, in order of their names.
   *
   * @param down unreachable servers: jobs of their tenants wait
   */
  ready(kind: JobKind, after: string, limit: number, down?: readonly string[]): Promise<string[]>;
  /**
   * Makes jobs ready whose time has come.
   *
   * @returns the milliseconds until the next one is due; undefined if there is none
   */
  release(): Promise<number | undefined>;
  take(queue: string): Promise<TakenJob | undefined>;
  /** Each of these returns whether the caller still held the job. */
  complete(job: TakenJob, result: unknown): Promise<boolean>;
  /** @param forGood don't retry */
  fail(job: TakenJob, reason: string, forGood: boolean): Promise<boolean>;
  /** Returns the job without counting an attempt. */
  handBack(job: TakenJob): Promise<boolean>;
  /** Renews the lease. @param progress undefined: unchanged */
  prolong(job: TakenJob, progress: number | undefined): Promise<boolean>;
  /** Releases jobs with expired leases. @returns their number */
  takeOver(): Promise<number>;
  /** Deletes old jobs. */
  sweep(): Promise<void>;
  /** The next time of a cron expression; undefined if never. */
  nextTime(cron: string): Promise<Date | undefined>;
}

/** How long a lease lasts without renewal; pg-boss's minimum is 10. */
const leaseSeconds = 30;
/** Practically forever: a job waits as long as its tenant is suspended. */
const waitsSeconds = 10 * 365 * 86_400;
const keptDays = 30;
const keptCompletedDays = 2;
const longestBackoffSeconds = 6 * 3600;
/** pg-boss's default. Deletion here is done by `sweep`. */
const deletionSeconds = 7 * 86_400;
/** pg-boss caches each queue it was asked about forever, about 1 KB each. */
const mostRememberedQueues = 10_000;
const releasedAtOnce = 1_000;

export interface JobQueueOptions {
  readonly broker: Broker;
  /** The main database, as the role `control`. */
  readonly target: Target;
  readonly control: Kysely<ControlTables>;
}

export function createJobQueue({ broker, target, control }: JobQueueOptions): JobQueue {
  let opened: Promise<PgBoss> | undefined;
  const remembered = new Set<string>();

  const boss = (): Promise<PgBoss> => {
    opened ??= import("pg-boss").then(({ PgBoss }) => {
      const made = new PgBoss({ db: overBroker(broker, target), schema: "pgboss", migrate: false });
      made.on("error", () => {}); // the caller gets the error
      return made;
    });
    return opened;
  };

  const bossFor = (queue: string): Promise<PgBoss> => {
    if (remembered.size >= mostRememberedQueues && !remembered.has(queue)) {
      remembered.clear();
      opened = undefined;
    }
    remembered.add(queue);
    return boss();
  };

  const own = ({ id, queue, retryCount }: TakenJob) =>
    sql`name = ${queue} and id = ${id} and retry_count = ${retryCount} and state = 'active'`;

  // Like pg-boss's own insert, but for queues that need not exist yet. With the policy `short`,
  // only one job per key waits for its first attempt. A job without a key uses its id.
  const addEach: JobQueue["addEach"] = async (jobs, tx = control) => {
    const rows = jobs.map(({ queue, job, data, key, startAfter, ...rules }) => ({
      ...rules,
      name: queue,
      data: { job, data },
      singleton_key: key === undefined ? rules.id : `${job}:${key}`,
      start_after: startAfter?.toISOString() ?? null,
    }));
    await sql`
      insert into pgboss.job_common (
        id, name, data, priority, singleton_key, start_after, keep_until, retry_limit, retry_delay,
        retry_backoff, retry_delay_max, expire_seconds, deletion_seconds, heartbeat_seconds, policy)
      select job.id, job.name, job.data, job.priority, job.singleton_key, at,
        at + make_interval(secs => ${waitsSeconds}), job.retries, job."backoffSeconds", true,
        -- Without one pg-boss waits for a second at least.
        case when job."backoffSeconds" > 0 then ${longestBackoffSeconds}::int else 0 end,
        job."timeoutSeconds", ${deletionSeconds}::int, ${leaseSeconds}::int, 'short'
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as job (
          id uuid, name text, data jsonb, priority int, singleton_key text, start_after timestamptz,
          retries int, "backoffSeconds" int, "timeoutSeconds" int)
        cross join lateral pgboss.create_queue(job.name, '{"policy": "short"}')
        cross join lateral coalesce(job.start_after, now()) as at
      on conflict do nothing`.execute(tx);
  };

  const changed = async (statement: ReturnType<typeof sql>): Promise<boolean> =>
    (await statement.execute(control)).numAffectedRows === 1n;

  return {
    nextTime: async (cron) =>
      (await boss()).previewSchedule(cron, { from: new Date(), count: 1 })[0],
    add: (queue, jobs, tx) =>
      addEach(
        jobs.map((job) => ({ queue, ...job })),
        tx,
      ),
    addEach,
    async ready(kind, after, limit, down = []) {
      // A loose index scan: one probe per queue that has work, however many jobs it has, and
      // however many other queues there are.
      const isReady = sql`state < 'active' and not blocked and start_after <= now()
        and ${kind === "ordinary" ? sql`priority >= 0` : sql`priority < 0`}`;
      const { rows } = await sql<{ name: string }>`
        with recursive queue as (
          (select name from pgboss.job_common
           where ${isReady} and name > ${after}
           order by name limit 1)
          union all
          select (
            select job.name from pgboss.job_common job
            where ${isReady} and job.name > queue.name
            order by job.name limit 1)
          from queue
          where queue.name is not null
        )
        select queue.name from queue
        where queue.name = ${platformQueue}
          -- Not the id as a text, for which there is no index; nor exists(), for which all are read.
          or (select status = 'active' and (${down.length === 0} or (
                select server_id from control.placements placement
                where placement.id = tenant.placement_id) <> all(${down}::uuid[]))
            from control.tenants tenant
            where tenant.id = case when queue.name <> ${platformQueue} then queue.name::uuid end)
        limit ${limit}`.execute(control);
      return rows.map(({ name }) => name);
    },
    async release() {
      const { rows } = await sql<{ released: string; ms: number | null }>`
        with due as materialized (
          select name, id from pgboss.job_common
          where state < 'active' and blocked and start_after <= now()
          order by start_after limit ${releasedAtOnce}
          for update skip locked
        ), released as (
          update pgboss.job_common job set blocked = false
          from due where job.name = due.name and job.id = due.id
          returning 1
        )
        select (select count(*) from released) as released,
          (select (extract(epoch from min(start_after) - now()) * 1000)::float8
           from pgboss.job_common
           where state < 'active' and blocked and start_after > now()) as ms`.execute(control);
      const [row] = rows;
      return Number(row?.released) === releasedAtOnce ? 0 : (row?.ms ?? undefined);
    },
    async take(queue) {
      // The queue exists: a job was added to it, perhaps by another process.
      const [job] = await (await bossFor(queue)).fetch<Payload>(queue);
      return job && { id: job.id, queue, payload: job.data, retryCount: job.retryCount };
    },
    async complete(job, result) {
      const data = { result: result ?? null };
      const answer = await (await bossFor(job.queue)).complete(job.queue, job, data);
      return affected(answer) > 0;
    },
    async fail(job, reason, forGood) {
      if (forGood) {
        await sql`
          update pgboss.job_common set retry_limit = retry_count where ${own(job)}`.execute(
          control,
        );
      }
      const answer = await (await bossFor(job.queue)).fail(job.queue, job, { error: reason });
      return affected(answer) > 0;
    },
    handBack: (job) =>
      changed(sql`
        update pgboss.job_common
        set state = 'retry', started_on = null, heartbeat_on = null, start_after = now()
        where ${own(job)}`),
    prolong: (job, progress) =>
      changed(sql`
        update pgboss.job_common
        set heartbeat_on = now(),
          output = case when ${progress ?? null}::float8 is null then output
            else jsonb_build_object('progress', ${progress ?? null}::float8) end
        where ${own(job)}`),
    async takeOver() {
      const { rows } = await sql<{ name: string; id: string; retryCount: number }>`
        select name, id, retry_count as "retryCount" from pgboss.job_common
        where state = 'active'
          and heartbeat_on < now() - make_interval(secs => ${leaseSeconds})
        limit 1000`.execute(control);
      for (const { name, ...job } of rows) {
        await (await bossFor(name)).fail(name, job, { error: "the worker is gone" });
      }
      return rows.length;
    },
    async sweep() {
      const overFor = (states: string, days: number) =>
        sql`state ${sql.raw(states)} and completed_on < now() - make_interval(days => ${days}::int)`;
      for (const [states, days] of [
        ["= 'completed'", keptCompletedDays],
        ["> 'completed'", keptDays],
      ] as const) {
        await deleteInBatches(control, "pgboss.job_common", overFor(states, days));
      }
    },
  };
}

/** The number of jobs that a command changed, which pg-boss's types leave out. */
const affected = (answer: object): number =>
  (answer as { readonly affected?: number }).affected ?? 0;

/** Runs pg-boss's SQL, which may contain several statements with a transaction of their own. */
const overBroker = (broker: Broker, target: Target): Db => ({
  async executeSql(text, values) {
    const lease = await broker.lease(target);
    try {
      const result = await lease.client.query(text, values as unknown[]);
      lease.release();
      return result;
    } catch (error) {
      lease.destroy();
      throw error;
    }
  },
});
