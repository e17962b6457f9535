/**
 * The SQL of the mail queue. Taking an e-mail moves its `due_at` ahead by a lease: if the taker
 * dies, it becomes due again. `attempts` counts how often it was taken and tells a late finisher
 * that it lost it.
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

/**
 * The turn of an e-mail: its tenant's id, or `platformTurn`. The same expression as in the index
 * `mails_turn`.
 */
const turnOfMail = sql<string>`coalesce(tenant_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)`;
export const platformTurn = "ffffffff-ffff-ffff-ffff-ffffffffffff";
/** Sorts before every turn. */
export const noTurn = "00000000-0000-0000-0000-000000000000";

/**
 * The turns after this one with an e-mail due. A loose index scan: one entry per turn, however many
 * wait.
 */
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

/** Takes the turn's e-mail that has been due longest, for `leaseMs`. */
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

/** Milliseconds until the next e-mail is due; undefined if none is waiting. */
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

/** Sets the final state. Deletes the variables, since they may contain secrets. */
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

/** Deletes e-mails that were finished or handed over this many days ago. */
export async function deleteFinished(control: Control, days: number): Promise<void> {
  const then = sql`now() - make_interval(days => ${days}::integer)`;
  const finished = sql`state <> 'waiting' and finished_at < ${then}`;
  await deleteInBatches(control, "control.mails", finished);
  await deleteInBatches(control, "control.handed_over_mails", sql`created_at < ${then}`);
}
