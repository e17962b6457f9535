/**
 * The queue's SQL. To take a mail is to move its `due_at` on by a lease: if the taker dies, it is due
 * again. `attempts` counts the takings, and tells a late finisher that the mail is no longer its own.
 */
import { type Kysely, type Selectable, sql } from "kysely";
import { deleteInBatches } from "../data/delete-in-batches.ts";
import type { ControlTables } from "../schema/control-tables.ts";

type Control = Kysely<ControlTables>;

export type TakenMail = Pick<
  Selectable<ControlTables["control.mails"]>,
  "id" | "tenant_id" | "template" | "recipient" | "variables" | "attempts"
> & { readonly turn: string };

const after = (ms: number) =>
  sql<Date>`now() + make_interval(secs => ${ms / 1000}::double precision)`;

/** Whose turn a mail goes out in: its tenant's id, or `platformTurn`. As the index `mails_turn` has it. */
const turnOfMail = sql<string>`coalesce(tenant_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)`;
export const platformTurn = "ffffffff-ffff-ffff-ffff-ffffffffffff";
/** Before the first. */
export const noTurn = "00000000-0000-0000-0000-000000000000";

/** Turns after this one that have a mail due. It reads one index entry a turn, however many mails wait. */
export const listTurnsAfter = (after: string, limit: number) => sql<{ turn: string }>`
    with recursive next (turn, due_at) as (
      (select ${turnOfMail}, due_at from control.mails
       where state = 'waiting' and ${turnOfMail} > ${after}::uuid
         and exists (select from control.mails where state = 'waiting' and due_at <= now())
       order by 1, 2 limit 1)
      union all
      select further.turn, further.due_at from next
      cross join lateral (
        select ${turnOfMail} as turn, due_at from control.mails
        where state = 'waiting' and ${turnOfMail} > next.turn
        order by 1, 2 limit 1
      ) as further
    )
    select turn from next where due_at <= now() limit ${limit}`;

export async function listTurns(control: Control, after: string, limit: number): Promise<string[]> {
  const { rows } = await listTurnsAfter(after, limit).execute(control);
  return rows.map(({ turn }) => turn);
}

/** Takes the mail of this turn that has been due longest, for `leaseMs`. */
export const takeDue = (
  control: Control,
  turn: string,
  leaseMs: number,
): Promise<TakenMail | undefined> =>
  control
    .updateTable("control.mails")
    .set((eb) => ({ attempts: eb("attempts", "+", 1), due_at: after(leaseMs) }))
    .where("id", "=", (eb) =>
      eb
        .selectFrom("control.mails")
        .select("id")
        .where("state", "=", "waiting")
        .where(turnOfMail, "=", turn)
        .where("due_at", "<=", sql<Date>`now()`)
        .orderBy("due_at")
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .returning(["id", "tenant_id", "template", "recipient", "variables", "attempts"])
    .executeTakeFirst()
    .then((mail) => mail && { ...mail, turn });

/** In how many milliseconds the next mail is due; undefined if none is waiting. */
export async function nextDueMs(control: Control): Promise<number | undefined> {
  const { ms } = await control
    .selectFrom("control.mails")
    .select(sql<number | null>`(extract(epoch from min(due_at) - now()) * 1000)::float8`.as("ms"))
    .where("state", "=", "waiting")
    .executeTakeFirstOrThrow();
  return ms ?? undefined;
}

const own = (control: Control, { id, attempts }: TakenMail) =>
  control
    .updateTable("control.mails")
    .where("id", "=", id)
    .where("attempts", "=", attempts)
    .where("state", "=", "waiting");

export interface Outcome {
  readonly state: "sent" | "dropped" | "failed";
  readonly reason?: string;
}

/** The last word on a mail. What it was made from goes, since it may hold secrets. */
export const finish = (control: Control, mail: TakenMail, { state, reason }: Outcome) =>
  own(control, mail)
    .set({
      state,
      reason: reason ?? null,
      variables: "{}",
      finished_at: sql<Date>`now()`,
    })
    .execute();

export const tryLater = (control: Control, mail: TakenMail, reason: string, waitMs: number) =>
  own(control, mail)
    .set({ reason, due_at: after(waitMs) })
    .execute();

/** Deletes what was finished, or handed over, so many days ago. */
export async function deleteFinished(control: Control, days: number): Promise<void> {
  const then = sql`now() - make_interval(days => ${days}::integer)`;
  const finished = sql`state <> 'waiting' and finished_at < ${then}`;
  await deleteInBatches(control, "control.mails", finished);
  await deleteInBatches(control, "control.handed_over_mails", sql`created_at < ${then}`);
}
