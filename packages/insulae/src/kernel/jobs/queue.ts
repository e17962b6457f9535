/**
 * The queue: pg-boss in the control plane's database, over our own connections. pg-boss isn't
 * started: it runs no timer, polls nothing and changes no table; it is asked to insert, take, complete
 * and fail. Each tenant has a queue of its own, named by its id, and the platform has one; so taking
 * turns between tenants is taking turns between queues (see `worker.ts`).
 *
 * What it lacks is a statement of ours on its tables: which queues have something to do, whose lease
 * has ended, how far a job is.
 */
import { type CompiledQuery, type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { Db, JobInsert, PgBoss } from "pg-boss";
import type { Broker } from "../database/broker.ts";
import type { ControlTables } from "../database/control-tables.ts";
import type { Target } from "../database/target.ts";
import { platformQueue } from "./queue-names.ts";

/** What is put into a queue: which job, and what it works on. */
export interface Payload {
  readonly job: string;
  readonly data: unknown;
}

export interface NewJob extends Payload {
  readonly id: string;
  /** No other job of this key is added while one waits for its first attempt. */
  readonly key?: string | undefined;
  readonly startAfter?: Date | undefined;
  readonly retries: number;
  readonly backoffSeconds: number;
  readonly priority: number;
  readonly timeoutSeconds: number;
}

/** A job that this process has under its lease. */
export interface TakenJob {
  readonly id: string;
  /** The tenant's id, or `platformQueue`. */
  readonly queue: string;
  readonly payload: Payload;
  /** Goes up with every taking, and tells a late finisher that the job is no longer its own. */
  readonly retryCount: number;
}

export interface JobQueue {
  /**
   * Adds jobs; those whose ids are there already are not added again.
   *
   * @param tx a transaction of the control plane.
   */
  add(queue: string, jobs: readonly NewJob[], tx?: QueryExecutorProvider): Promise<void>;
  /**
   * Queues, in the order of their names, in which a job can be taken now; of active tenants only.
   *
   * @param down servers that don't answer: their tenants' jobs wait.
   */
  ready(after: string, limit: number, down?: readonly string[]): Promise<string[]>;
  /** In how many milliseconds the next waiting job is due; undefined if none is. */
  nextDueMs(): Promise<number | undefined>;
  take(queue: string): Promise<TakenJob | undefined>;
  /** Each of these returns whether the job was still the taker's. */
  complete(job: TakenJob, result: unknown): Promise<boolean>;
  /** @param forGood no further attempt */
  fail(job: TakenJob, reason: string, forGood: boolean): Promise<boolean>;
  /** Undoes the taking: it was no attempt. */
  handBack(job: TakenJob): Promise<boolean>;
  /** Prolongs the lease. @param progress undefined: as it was */
  prolong(job: TakenJob, progress: number | undefined): Promise<boolean>;
  /** Takes jobs away from workers that are gone. @returns how many. */
  takeOver(): Promise<number>;
  /** Deletes what is no longer of use. */
  sweep(): Promise<void>;
  readonly boss: () => Promise<PgBoss>;
}

/** How long a worker may be silent before its job is given to another; pg-boss takes no less than 10. */
const leaseSeconds = 30;
/** For ever, nearly: a job waits as long as its tenant is suspended. */
const waitsSeconds = 10 * 365 * 86_400;
const keptDays = 30;
const keptCompletedDays = 2;
const longestBackoffSeconds = 6 * 3600;

export interface JobQueueOptions {
  readonly broker: Broker;
  /** The main database, as the role `control`. */
  readonly target: Target;
  readonly control: Kysely<ControlTables>;
}

export function createJobQueue({ broker, target, control }: JobQueueOptions): JobQueue {
  let opened: Promise<PgBoss> | undefined;
  const known = new Set<string>();

  const boss = (): Promise<PgBoss> => {
    opened ??= import("pg-boss").then(({ PgBoss }) => {
      const made = new PgBoss({ db: overBroker(broker, target), schema: "pgboss", migrate: false });
      made.on("error", () => {}); // whoever asked hears of it
      return made;
    });
    return opened;
  };

  const ensureQueue = async (name: string): Promise<void> => {
    if (known.has(name)) return;
    // `short`: a key is taken by one job that waits for its first attempt.
    await (await boss()).createQueue(name, { policy: "short" });
    known.add(name);
  };

  const own = ({ id, queue, retryCount }: TakenJob) =>
    sql`name = ${queue} and id = ${id} and retry_count = ${retryCount} and state = 'active'`;

  const changed = async (statement: ReturnType<typeof sql>): Promise<boolean> =>
    (await statement.execute(control)).numAffectedRows === 1n;

  return {
    boss,
    async add(queue, jobs, tx) {
      await ensureQueue(queue);
      const options = tx ? { db: overTransaction(tx) } : {};
      await (await boss()).insert(queue, jobs.map(inserted), options);
    },
    async ready(after, limit, down = []) {
      // From one queue's name to the next one's: as many probes of the index as there are queues with
      // something to do, however much that is.
      const { rows } = await sql<{ name: string }>`
        with recursive queue as (
          (select name from pgboss.job_common
           where state < 'active' and not blocked and start_after <= now() and name > ${after}
           order by name limit 1)
          union all
          select (
            select job.name from pgboss.job_common job
            where job.state < 'active' and not job.blocked and job.start_after <= now()
              and job.name > queue.name
            order by job.name limit 1)
          from queue
          where queue.name is not null
        )
        select queue.name from queue
        where queue.name = ${platformQueue}
          or exists (
            select from control.tenants tenant
            where tenant.id::text = queue.name and tenant.status = 'active'
              and (${down.length === 0} or not exists (
                select from control.placements placement
                where placement.id = tenant.placement_id and placement.server_id = any(${down}::uuid[]))))
        limit ${limit}`.execute(control);
      return rows.map(({ name }) => name);
    },
    async nextDueMs() {
      const { rows } = await sql<{ ms: number | null }>`
        select (extract(epoch from min(start_after) - now()) * 1000)::float8 as ms
        from pgboss.job_common
        where state < 'active' and not blocked and start_after > now()`.execute(control);
      return rows[0]?.ms ?? undefined;
    },
    async take(queue) {
      // A job was put into it, perhaps by another process, so there is such a queue.
      const [job] = await (await boss()).fetch<Payload>(queue);
      return job && { id: job.id, queue, payload: job.data, retryCount: job.retryCount };
    },
    async complete(job, result) {
      const data = { result: result ?? null };
      const answer = await (await boss()).complete(job.queue, job, data);
      return affected(answer) > 0;
    },
    async fail(job, reason, forGood) {
      if (forGood) {
        await sql`
          update pgboss.job_common set retry_limit = retry_count where ${own(job)}`.execute(
          control,
        );
      }
      const answer = await (await boss()).fail(job.queue, job, { error: reason });
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
        await (await boss()).fail(name, job, { error: "the worker is gone" });
      }
      return rows.length;
    },
    async sweep() {
      await sql`
        delete from pgboss.job_common
        where state > 'active'
          and completed_on < now() - make_interval(
            days => case when state = 'completed' then ${keptCompletedDays}::int else ${keptDays}::int end)
      `.execute(control);
    },
  };
}

const inserted = ({ id, job, data, key, startAfter, ...rules }: NewJob): JobInsert<Payload> => ({
  id,
  data: { job, data },
  // Without a key each is a key of its own: the policy knows no jobs without one.
  singletonKey: key === undefined ? id : `${job}:${key}`,
  ...(startAfter && { startAfter: startAfter.toISOString() }),
  priority: rules.priority,
  retryLimit: rules.retries,
  retryBackoff: true,
  retryDelay: rules.backoffSeconds,
  // Without one pg-boss waits for a second at least.
  retryDelayMax: rules.backoffSeconds === 0 ? 0 : longestBackoffSeconds,
  expireInSeconds: rules.timeoutSeconds,
  heartbeatSeconds: leaseSeconds,
  retentionSeconds: waitsSeconds,
});

/** What the types of pg-boss leave out: how many jobs a command changed. */
const affected = (answer: object): number =>
  (answer as { readonly affected?: number }).affected ?? 0;

/** Several statements may be sent at once, with a transaction of their own. */
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

const overTransaction = (tx: QueryExecutorProvider): Db => ({
  async executeSql(text, values = []) {
    const query: CompiledQuery = {
      sql: text,
      parameters: values,
      query: { kind: "RawNode", sqlFragments: [text], parameters: [] },
      queryId: { queryId: "" },
    };
    const { rows } = await tx.getExecutor().executeQuery(query);
    return { rows };
  },
});
