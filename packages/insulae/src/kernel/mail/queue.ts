/**
 * The queue's SQL. To take a mail is to move its `due_at` on by a lease: if the taker dies, it is due
 * again. `attempts` counts the takings, and tells a late finisher that the mail is no longer its own.
 */
import { type Kysely, type Selectable, sql } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";

type Control = Kysely<ControlTables>;

export type TakenMail = Pick<
  Selectable<ControlTables["control.mails"]>,
  "id" | "tenant_id" | "template" | "recipient" | "variables" | "attempts"
>;

const after = (ms: number) =>
  sql<Date>`now() + make_interval(secs => ${ms / 1000}::double precision)`;

/** Takes the mail that has been due longest, for `leaseMs`. */
export const takeDue = (control: Control, leaseMs: number): Promise<TakenMail | undefined> =>
  control
    .updateTable("control.mails")
    .set((eb) => ({ attempts: eb("attempts", "+", 1), due_at: after(leaseMs) }))
    .where("id", "=", (eb) =>
      eb
        .selectFrom("control.mails")
        .select("id")
        .where("state", "=", "waiting")
        .where("due_at", "<=", sql<Date>`now()`)
        .orderBy("due_at")
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .returning(["id", "tenant_id", "template", "recipient", "variables", "attempts"])
    .executeTakeFirst();

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
  const then = sql<Date>`now() - make_interval(days => ${days}::integer)`;
  await control
    .deleteFrom("control.mails")
    .where("state", "<>", "waiting")
    .where("finished_at", "<", then)
    .execute();
  await control.deleteFrom("control.handed_over_mails").where("created_at", "<", then).execute();
}
