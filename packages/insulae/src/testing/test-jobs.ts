/** Runs jobs while a test waits. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { App } from "../app/app-api.ts";
import { platformQueue } from "../kernel/jobs/queue-names.ts";

const longestMs = 20_000;

interface FailedJob {
  readonly id: string;
  readonly job: string;
  readonly error: unknown;
}

/**
 * Makes jobs due and waits until they, and those that they send, are done. A job that reschedules
 * itself runs once.
 *
 * @param client the administrator, in the main database
 * @param reported ids of failed jobs that the test knows of; new failures are added
 * @throws Error if one failed permanently
 */
export async function runJobs(app: App, client: pg.Client, reported: Set<string>): Promise<void> {
  const until = performance.now() + longestMs;
  const hastened = new Set<string>();
  for (;;) {
    // Between two looks, a job may move from an outbox to the queue, or finish and send another.
    const before = await makeDue(client, hastened);
    const outboxes = await findOutboxes(app, client);
    const after = await makeDue(client, hastened);
    await refuseFailed(client, reported);
    const waiting = [...before.waiting, ...outboxes, ...after.waiting];
    if (waiting.length === 0 && before.count === after.count) return;
    if (performance.now() > until) {
      throw new Error(`jobs have not ended: ${[...new Set(waiting)].join(", ")}`);
    }
    await sleep(10);
  }
}

const jobKey = "queue || '/' || job";

interface Queue {
  /** The names of waiting and running jobs, without those of suspended tenants. */
  readonly waiting: readonly string[];
  /** The number of jobs, including finished ones. */
  readonly count: string;
}

/** @param hastened tenants and jobs that were made due before their time; new ones are added */
async function makeDue(client: pg.Client, hastened: Set<string>): Promise<Queue> {
  const due = await client.query<{ key: string }>(
    `update control.jobs set due_at = now(), state = 'ready'
     where state = 'held' and (attempts > 0 or ${jobKey} <> all($1))
     returning ${jobKey} as key`,
    [[...hastened]],
  );
  for (const { key } of due.rows) hastened.add(key);
  if (due.rows.length > 0) await client.query("select pg_notify('insulae', 'job')");
  const { rows } = await client.query<Queue>(
    `select count(*), coalesce(
       json_agg(job) filter (where state in ('ready', 'running', 'held')
         and (state <> 'held' or attempts > 0 or due_at <= now()) and (queue = $1 or exists (
         select from control.tenants where id::text = queue and status = 'active'))),
       '[]') as waiting
     from control.jobs`,
    [platformQueue],
  );
  return rows[0] ?? { waiting: [], count: "0" };
}

/** @throws Error */
async function refuseFailed(client: pg.Client, reported: Set<string>): Promise<void> {
  const { rows } = await client.query<FailedJob>(
    "select id, job, error from control.jobs where state = 'parked'",
  );
  const [first, ...others] = rows.filter(({ id }) => !reported.has(id));
  for (const { id } of rows) reported.add(id);
  if (!first) return;
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  throw new Error(`the job ${first.job} failed: ${String(first.error)}${more}`);
}

/** Jobs sent in a transaction that are not in the queue yet. @returns their names */
async function findOutboxes(app: App, client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string }>(
    `select distinct tenant_id as id
     from control.outbox_marks join control.tenants tenant on tenant.id = tenant_id
     where status = 'active'`,
  );
  const found = await Promise.all(
    rows.map(({ id }) =>
      app.withTenant(id, ({ db }) => db.query<{ job: string }>("select job from outbox")),
    ),
  );
  return found.flat().map(({ job }) => job);
}
