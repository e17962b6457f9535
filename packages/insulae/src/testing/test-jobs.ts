/** Has jobs run while a test waits. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { App } from "../app.ts";
import { platformQueue } from "../kernel/jobs/queue-names.ts";

const longestMs = 20_000;

interface JobRow {
  readonly id: string;
  readonly job: string;
  readonly state: string;
  readonly output: unknown;
}

/**
 * Makes jobs due and waits until they, and those that they send, have ended.
 *
 * @param client the administrator, in the main database
 * @param reported the ids of failed jobs that a test knows of; gets those that it hears of now
 * @throws Error if one has failed for good
 */
export async function runJobs(app: App, client: pg.Client, reported: Set<string>): Promise<void> {
  const until = performance.now() + longestMs;
  for (;;) {
    const waiting = [...(await findOutboxes(app, client)), ...(await makeDue(client))];
    const failed = (await findFailed(client)).filter(({ id }) => !reported.has(id));
    for (const { id } of failed) reported.add(id);
    const [first] = failed;
    if (first) throw new Error(`the job ${first.job} failed: ${JSON.stringify(first.output)}`);
    if (waiting.length === 0) return;
    if (performance.now() > until) throw new Error(`jobs have not ended: ${waiting.join(", ")}`);
    await sleep(10);
  }
}

/** @returns the names of jobs that wait or run; those of suspended tenants wait for them to be active. */
async function makeDue(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ job: string }>(
    `with due as (
       update pgboss.job_common set start_after = now(), blocked = false
       where state < 'active' and start_after > now()
       returning pg_notify('insulae', 'job')
     )
     select data ->> 'job' as job from pgboss.job_common
     where state <= 'active' and (select count(*) from due) >= 0
       and (name = $1 or exists (
         select from control.tenants where id::text = name and status = 'active'))`,
    [platformQueue],
  );
  return rows.map(({ job }) => job);
}

async function findFailed(client: pg.Client): Promise<readonly JobRow[]> {
  const { rows } = await client.query<JobRow>(
    `select id, data ->> 'job' as job, state, output from pgboss.job_common where state = 'failed'`,
  );
  return rows;
}

/** Jobs that were sent in a transaction, and are not in the queue yet. @returns their names */
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
