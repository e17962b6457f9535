/**
 * Limits attempts at codes per person, whatever their source: five, and then one after each pause,
 * which doubles each time. A correct code resets this.
 *
 * An attempt is counted before the code is checked, in one statement: of a hundred concurrent
 * attempts, five are checked. The count is in the database, so it holds for all nodes and across
 * restarts.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import type { ControlTables } from "../../schema/control-tables.ts";
import type { Subject } from "../subject.ts";

const free = 5;
const firstPauseSeconds = 60;
const maxPauseSeconds = 86_400;

type Control = Kysely<ControlTables>;

export interface Attempt {
  readonly allowed: boolean;
  /** How long further attempts are blocked, if this was one too many. */
  readonly pauseSeconds: number;
  /** Whether this was the last attempt before the first pause. */
  readonly isLast: boolean;
}

export async function countAttempt(control: Control, subject: Subject): Promise<Attempt> {
  const { rows } = await sql<{ attempts: number }>`
    insert into control.factor_attempts as tried (tenant_id, subject_id, attempts, paused_until)
    values (${subject.tenantId}, ${subject.id}, 1, clock_timestamp())
    on conflict on constraint factor_attempts_subject_key do update set
      attempts = least(tried.attempts + 1, 1000),
      paused_until = clock_timestamp() + make_interval(secs => case
        when tried.attempts + 1 < ${free} then 0
        else least(
          ${firstPauseSeconds} * power(2, least(tried.attempts + 1 - ${free}, 20)),
          ${maxPauseSeconds}
        )
      end)
    where tried.paused_until <= clock_timestamp()
    returning attempts`.execute(control);
  const [row] = rows;
  if (row) return { allowed: true, pauseSeconds: 0, isLast: row.attempts === free };
  const paused = await control
    .selectFrom("control.factor_attempts")
    .select(
      sql<number>`ceil(extract(epoch from paused_until - clock_timestamp()))::integer`.as("left"),
    )
    .where(isOf(subject))
    .executeTakeFirst();
  return { allowed: false, pauseSeconds: Math.max(1, paused?.left ?? 1), isLast: false };
}

export const forgetAttempts = (control: Control, subject: Subject) =>
  control.deleteFrom("control.factor_attempts").where(isOf(subject)).execute();

/** The row of the subject. */
export const isOf = ({ tenantId, id }: Subject) =>
  sql<SqlBool>`subject_id = ${id} and tenant_id is not distinct from ${tenantId}`;
