/**
 * The queue of jobs: the table `control.jobs` in the control plane's database. Each tenant has a
 * queue named by its id, and so has the platform, which makes turns between tenants turns between
 * queues (see `job-worker/worker.ts`). A queue is the rows with its name; nothing lists all queues.
 *
 *   held ──► ready ──► running ──► completed
 *    ▲  due      ▲  take   │ ├──► parked (out of retries)
 *    └───────────┴─────────┘ failed, handed back, or its lease expired
 *
 * Each operation is one statement, for which the table has a partial index. A job whose time has not
 * come is held, so that looking for work reads only what can run now.
 */
import { type Kysely, type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
import { deleteInBatches } from "../data/delete-in-batches.ts";
import { isDatabaseError } from "../engine/errors.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { platformQueue } from "./queue-names.ts";

export interface NewJob {
  readonly id: string;
  readonly job: string;
  readonly data: unknown;
  /** Don't add it while a job with the same key waits for its first attempt. */
  readonly key?: string | undefined;
  readonly startAfter?: Date | undefined;
  readonly retries: number;
  readonly backoffSeconds: number;
  readonly priority: number;
}

/** A background job has a priority below 0. */
export type JobKind = "ordinary" | "background";

/** A job that this process has leased. */
export interface TakenJob {
  readonly id: string;
  /** The tenant's id, or `platformQueue`. */
  readonly queue: string;
  readonly job: string;
  readonly data: unknown;
  /** 1 for the first. */
  readonly attempt: number;
  /** To the microsecond. Tells a late finisher that it has lost the job, which may have been handed back since. */
  readonly startedAt: string;
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
  /** Takes the first job of this kind, by priority and age. */
  take(queue: string, kind: JobKind): Promise<TakenJob | undefined>;
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
}

/** How long a lease lasts without renewal. */
const leaseSeconds = 30;
const keptDays = 30;
const keptCompletedDays = 2;
const longestBackoffSeconds = 6 * 3600;
const atOnce = 1_000;

const isReady = (kind: JobKind) =>
  sql`state = 'ready' and ${kind === "ordinary" ? sql`priority >= 0` : sql`priority < 0`}`;

const own = ({ id, queue, attempt, startedAt }: TakenJob) =>
  sql`queue = ${queue} and id = ${id} and attempts = ${attempt} and state = 'running'
    and started_at = ${startedAt}::timestamptz`;

const leased = sql`now() + make_interval(secs => ${sql.lit(leaseSeconds)})`;

/** What an attempt that failed changes: exponential backoff with jitter, up to six hours. */
const failed = (reason: string, isOver: RawBuilder<unknown>) => sql`
  state = case when ${isOver} then 'parked' when backoff_seconds > 0 then 'held' else 'ready' end,
  due_at = case when ${isOver} then due_at else now() + make_interval(secs => least(
    ${sql.lit(longestBackoffSeconds)},
    backoff_seconds * 2 ^ least(attempts, 16) / 2 * (1 + random()))) end,
  finished_at = case when ${isOver} then now() end,
  leased_until = null, error = ${reason}`;

/** SQLSTATEs of a NUL character or half a surrogate pair in JSON. */
const notStorable = new Set(["22P02", "22P05"]);

const outOfRetries = sql`attempts > retries`;

export function createJobQueue(control: Kysely<ControlTables>): JobQueue {
  const addEach: JobQueue["addEach"] = async (jobs, tx = control) => {
    const rows = jobs.map(({ startAfter, backoffSeconds, ...job }) => ({
      ...job,
      start_after: startAfter?.toISOString(),
      backoff_seconds: backoffSeconds,
    }));
    await sql`
      insert into control.jobs (
        id, queue, job, data, key, priority, state, due_at, retries, backoff_seconds)
      select id, queue, job, coalesce(data, 'null'), key, priority,
        case when due > now() then 'held' else 'ready' end, due, retries, backoff_seconds
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as job (
          id uuid, queue text, job text, data jsonb, key text, priority int,
          start_after timestamptz, retries int, backoff_seconds int)
        cross join lateral coalesce(start_after, now()) as due
      on conflict do nothing`.execute(tx);
  };

  const changed = async (statement: RawBuilder<unknown>): Promise<boolean> =>
    (await statement.execute(control)).numAffectedRows === 1n;

  /**
   * Fails attempts and notifies every node: a job may be ready again, or due before all others.
   *
   * @param which the condition, and how to lock the rows
   * @returns their number
   */
  const fail = async (which: RawBuilder<unknown>, reason: string, isOver: RawBuilder<unknown>) => {
    const { rows } = await sql`
      with lost as materialized (
        select queue, id from control.jobs where ${which}
      ), failed as (
        update control.jobs job set ${failed(reason, isOver)}
        from lost where job.queue = lost.queue and job.id = lost.id
        returning 1
      )
      select pg_notify('insulae', 'job') from failed`.execute(control);
    return rows.length;
  };

  return {
    add: (queue, jobs, tx) =>
      addEach(
        jobs.map((job) => ({ queue, ...job })),
        tx,
      ),
    addEach,
    async ready(kind, after, limit, down = []) {
      // A loose index scan: one probe per queue that has work, however many jobs it has, and
      // however many other queues there are.
      const { rows } = await sql<{ name: string }>`
        with recursive found as (
          (select queue from control.jobs
           where ${isReady(kind)} and queue > ${after}
           order by queue limit 1)
          union all
          select (
            select job.queue from control.jobs job
            where ${isReady(kind)} and job.queue > found.queue
            order by job.queue limit 1)
          from found
          where found.queue is not null
        )
        select found.queue as name from found
        where found.queue = ${platformQueue}
          -- Not the id as a text, for which there is no index; nor exists(), for which all are read.
          or (select status = 'active' and (${down.length === 0} or (
                select server_id from control.placements placement
                where placement.id = tenant.placement_id) <> all(${down}::uuid[]))
            from control.tenants tenant
            where tenant.id = case when found.queue <> ${platformQueue} then found.queue::uuid end)
        limit ${limit}`.execute(control);
      return rows.map(({ name }) => name);
    },
    async release() {
      const { rows } = await sql<{ released: string; ms: number | null }>`
        with due as materialized (
          select queue, id from control.jobs
          where state = 'held' and due_at <= now()
          order by due_at limit ${atOnce}
          for update skip locked
        ), released as (
          update control.jobs job set state = 'ready'
          from due where job.queue = due.queue and job.id = due.id
          returning 1
        )
        select (select count(*) from released) as released,
          (select (extract(epoch from min(due_at) - now()) * 1000)::float8
           from control.jobs
           where state = 'held' and due_at > now()) as ms`.execute(control);
      const [row] = rows;
      return Number(row?.released) === atOnce ? 0 : (row?.ms ?? undefined);
    },
    async take(queue, kind) {
      const { rows } = await sql<TakenJob>`
        update control.jobs
        set state = 'running', attempts = attempts + 1, key = null, progress = null,
          started_at = now(), leased_until = ${leased}
        where queue = ${queue} and id = (
          select id from control.jobs
          where ${isReady(kind)} and queue = ${queue}
          order by priority desc, created_at limit 1
          for update skip locked)
        returning id, queue, job, data, attempts as attempt,
          to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "startedAt"`.execute(
        control,
      );
      return rows[0];
    },
    async complete(job, result) {
      const done = (text: string | null, error: string | null) =>
        changed(sql`
          update control.jobs
          set state = 'completed', finished_at = now(), leased_until = null, error = ${error},
            result = ${text}::jsonb
          where ${own(job)}`);
      try {
        return await done(JSON.stringify(result) ?? null, null);
      } catch (error) {
        if (!isDatabaseError(error) || !notStorable.has(error.code ?? "")) throw error;
        // What was done is not done again for the sake of its result.
        return done(
          null,
          "It is done. Its result has text that PostgreSQL can't store, and was left out.",
        );
      }
    },
    fail: async (job, reason, forGood) =>
      (await fail(sql`${own(job)} for update`, reason, forGood ? sql`true` : outOfRetries)) === 1,
    handBack: (job) =>
      changed(sql`
        update control.jobs
        set state = 'ready', attempts = attempts - 1, due_at = now(), started_at = null,
          leased_until = null
        where ${own(job)}`),
    prolong: (job, progress) =>
      changed(sql`
        update control.jobs
        set leased_until = ${leased}, progress = coalesce(${progress ?? null}::float8, progress)
        where ${own(job)}`),
    takeOver: () =>
      fail(
        sql`state = 'running' and leased_until < now() order by leased_until limit ${atOnce}
          for update skip locked`,
        "the worker is gone",
        outOfRetries,
      ),
    async sweep() {
      for (const [state, days] of [
        ["completed", keptCompletedDays],
        ["parked", keptDays],
      ] as const) {
        await deleteInBatches(
          control,
          "control.jobs",
          sql`state = ${sql.lit(state)}
            and finished_at < now() - make_interval(days => ${days}::int)`,
        );
      }
    },
  };
}
