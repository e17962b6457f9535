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

const stateOf = sql<JobState>`case when state in ('held', 'ready') then 'waiting' else state end`;

/** Maximum size in a list, in bytes; larger values are shown only with the single job. */
const longest = 4_096;
const short = (value: RawBuilder<unknown>) =>
  sql`case when octet_length((${value})::text) <= ${longest} then ${value} end`;

const columnsWith = (shown: (value: RawBuilder<unknown>) => RawBuilder<unknown>) => sql`
  id, nullif(queue, ${platformQueue}) as tenant_id, job, ${stateOf} as state,
  ${shown(sql`data`)} as data, attempts,
  case when state = 'running' then progress end as progress,
  ${shown(sql`result`)} as result,
  case when state <> 'running' then left(error, ${longest}) end as error,
  due_at, created_at, started_at, finished_at`;
const columns = columnsWith((value) => value);
const shortColumns = columnsWith(short);

const ownedBy = (owner: Owner) => (owner === undefined ? sql`true` : sql`queue = ${owner}`);

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
    select ${shortColumns} from control.jobs
    where ${ownedBy(owner)}
      and ${state === undefined ? sql`true` : sql`${stateOf} = ${state}`}
      and ${job === undefined ? sql`true` : sql`job = ${job}`}
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
    select ${columns} from control.jobs
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
    update control.jobs
    set state = 'ready', retries = attempts + ${retries}::int, due_at = now(), finished_at = null,
      error = null
    where ${ownedBy(owner)} and id = ${id}::uuid and state = 'parked'`.execute(control);
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
    delete from control.jobs where ${ownedBy(owner)} and id = ${id}::uuid`.execute(control);
  return numAffectedRows === 1n;
}
