import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Page } from "../../kernel/feature/page.ts";
import { platformQueue } from "../../kernel/jobs/queue-names.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

type Control = Kysely<ControlTables>;

/** parked: out of retries; waits until somebody retries or drops it. */
export const jobStates = ["waiting", "running", "completed", "parked"] as const;
export type JobState = (typeof jobStates)[number];

export interface JobView {
  readonly id: string;
  /** Null: a job of the platform. */
  readonly tenant_id: string | null;
  readonly job: string;
  readonly state: JobState;
  readonly data: unknown;
  readonly attempts: number;
  readonly progress: number | null;
  readonly result: unknown;
  readonly error: string | null;
  readonly due_at: Date;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
}

/** Whose jobs to select; undefined: everybody's, including the platform's. */
type Owner = TenantId | undefined;

const stateOf = sql<JobState>`case state
  when 'created' then 'waiting' when 'retry' then 'waiting' when 'active' then 'running'
  when 'completed' then 'completed' else 'parked' end`;

/** Maximum size in a list, in bytes; larger values are shown only with the single job. */
const longest = 4_096;
const short = (value: RawBuilder<unknown>) =>
  sql`case when octet_length((${value})::text) <= ${longest} then ${value} end`;

const columnsWith = (shown: (value: RawBuilder<unknown>) => RawBuilder<unknown>) => sql`
  id, nullif(name, ${platformQueue}) as tenant_id, data->>'job' as job, ${stateOf} as state,
  ${shown(sql`data->'data'`)} as data,
  retry_count + case when started_on is null then 0 else 1 end as attempts,
  case when state = 'active' then (output->>'progress')::float8 end as progress,
  case when state = 'completed' then ${shown(sql`output->'result'`)} end as result,
  case when state in ('retry', 'failed') then left(output->>'error', ${longest}) end as error,
  start_after as due_at, created_on as created_at, started_on as started_at,
  completed_on as finished_at`;
const columns = columnsWith((value) => value);
const shortColumns = columnsWith(short);

const ownedBy = (owner: Owner) => (owner === undefined ? sql`true` : sql`name = ${owner}`);

export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly job?: string | undefined;
}

/** Newest first. */
export async function listJobs(
  control: Control,
  owner: Owner,
  { state, job }: JobFilter,
  { limit, after, cursor }: Page,
) {
  const found = await someJobs(control, owner, { state, job, before: after[0], limit: limit + 1 });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null };
}

export async function someJobs(
  control: Control,
  owner: Owner,
  {
    state,
    job,
    before,
    limit,
  }: JobFilter & { readonly before?: string | undefined; readonly limit: number },
): Promise<JobView[]> {
  const { rows } = await sql<JobView>`
    select ${shortColumns} from pgboss.job_common
    where ${ownedBy(owner)}
      and ${state === undefined ? sql`true` : sql`${stateOf} = ${state}`}
      and ${job === undefined ? sql`true` : sql`data->>'job' = ${job}`}
      and ${before === undefined ? sql`true` : sql`id < ${before}::uuid`}
    order by id desc limit ${limit}`.execute(control);
  return rows;
}

export async function findJob(
  control: Control,
  owner: Owner,
  id: string,
): Promise<JobView | undefined> {
  const { rows } = await sql<JobView>`
    select ${columns} from pgboss.job_common
    where ${ownedBy(owner)} and id = ${id}::uuid`.execute(control);
  return rows[0];
}

/** Queues a parked job again with its full number of retries. @returns whether it was parked */
export async function retryJob(
  control: Control,
  owner: Owner,
  id: string,
  retries: number,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update pgboss.job_common
    set state = 'retry', retry_limit = retry_count + 1 + ${retries}::int, start_after = now(),
      completed_on = null, output = null
    where ${ownedBy(owner)} and id = ${id}::uuid and state in ('failed', 'cancelled')`.execute(
    control,
  );
  if (numAffectedRows !== 1n) return false;
  await sql`select pg_notify('insulae', 'job')`.execute(control);
  return true;
}

/**
 * Deletes a job. A running one is asked to stop, and its result is discarded. @returns whether it
 * existed
 */
export async function dropJob(control: Control, owner: Owner, id: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    delete from pgboss.job_common where ${ownedBy(owner)} and id = ${id}::uuid`.execute(control);
  return numAffectedRows === 1n;
}
