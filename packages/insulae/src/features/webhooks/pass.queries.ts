import { sql } from "kysely";
import type { Attempt, Db, DisabledReason } from "./webhooks.queries.ts";

/** Longer than any delivery run. */
const leaseSeconds = 60;

/**
 * Serialises the start of a tenant's delivery runs, so that two that start together see each other.
 * A separate statement, because a statement that waited for a lock still sees its earlier snapshot.
 */
export const lockStates = (tx: Db) =>
  tx.selectFrom("webhook_states").select("webhook_id").orderBy("webhook_id").forUpdate().execute();

/**
 * The state of a webhook, locked until the deciding transaction ends, and of the tenant's other
 * runs.
 */
export async function lockState(tx: Db, webhookId: string, jobId: string) {
  const { rows } = await sql<{
    enabled: boolean;
    failures: number;
    /** The receiver was slow in the last run. */
    slow: boolean;
    failing_for: number;
    resting: boolean;
    /** Another job has the lease. */
    taken: boolean;
    /** This job has the lease, even if it has expired. */
    mine: boolean;
    /** How many of the tenant's other failing or slow webhooks have a run now. */
    retrying: number;
  }>`
    select
      enabled,
      failures,
      slow,
      coalesce(extract(epoch from now() - failing_since), 0)::float8 as failing_for,
      coalesce(rests_until > now(), false) as resting,
      coalesce(pass_until > now() and pass_by <> ${jobId}, false) as taken,
      coalesce(pass_by = ${jobId}, false) as mine,
      (
        select count(*)::integer from webhook_states as other
        where other.pass_until > now() and (other.failures > 0 or other.slow)
          and other.webhook_id <> state.webhook_id
      ) as retrying
    from webhook_states as state
    join webhooks on webhooks.id = webhook_id
    where webhook_id = ${webhookId}
    for update of state`.execute(tx);
  return rows[0];
}

export const beginPass = (tx: Db, webhookId: string, jobId: string) =>
  tx
    .updateTable("webhook_states")
    .set({
      pass_by: jobId,
      pass_until: sql<Date>`now() + make_interval(secs => ${leaseSeconds})`,
    })
    .where("webhook_id", "=", webhookId)
    .execute();

/**
 * @param resting how many seconds to send nothing to the webhook
 * @returns the end of the rest, rounded up to milliseconds so that the job due then finds it over
 */
export async function endPass(
  tx: Db,
  webhookId: string,
  {
    failures,
    slow,
    resting,
  }: { readonly failures: number; readonly slow: boolean; readonly resting: number },
): Promise<Date | null> {
  const { rows } = await sql<{ rests_until: Date | null }>`
    update webhook_states
    set
      pass_by = null,
      pass_until = null,
      failures = ${failures},
      slow = ${slow},
      failing_since = case when ${failures} > 0 then coalesce(failing_since, now()) end,
      rests_until = case
        when ${resting} > 0 then date_trunc('milliseconds', now()) + make_interval(secs => ${resting})
      end
    where webhook_id = ${webhookId}
    returning rests_until`.execute(tx);
  return rows[0]?.rests_until ?? null;
}

/** When the next attempt is due, and whether that time has come. */
export async function findNextDue(db: Db, webhookId: string) {
  const { rows } = await sql<{ at: Date; now: boolean }>`
    select due_at as at, due_at <= now() as now
    from webhook_deliveries
    where webhook_id = ${webhookId} and state = 'waiting'
    order by due_at
    limit 1`.execute(db);
  return rows[0];
}

export const listDue = (db: Db, webhookId: string, limit: number) =>
  db
    .selectFrom("webhook_deliveries")
    .innerJoin("webhook_events", "webhook_events.id", "event_id")
    .select(["webhook_deliveries.id", "event_id", "attempts", "payload", "name"])
    .where("webhook_id", "=", webhookId)
    .where("state", "=", "waiting")
    .where("due_at", "<=", sql<Date>`now()`)
    .orderBy("due_at")
    .limit(limit)
    .execute();

/**
 * Records an attempt, unless another run has recorded one meanwhile.
 *
 * @param again seconds until the next attempt; undefined: give up
 */
export const noteAttempt = (
  db: Db,
  delivery: { readonly id: string; readonly attempts: number },
  { outcome, status, excerpt, reason }: Attempt,
  again: number | undefined,
) =>
  db
    .updateTable("webhook_deliveries")
    .set({
      attempts: delivery.attempts + 1,
      state: outcome === "delivered" ? "delivered" : again === undefined ? "failed" : "waiting",
      tried_at: sql<Date>`now()`,
      response_status: status,
      response_excerpt: excerpt,
      reason,
      ...(again !== undefined && { due_at: sql<Date>`now() + make_interval(secs => ${again})` }),
    })
    .where("id", "=", delivery.id)
    .where("attempts", "=", delivery.attempts)
    .where("state", "=", "waiting")
    .execute();

export const disableWebhook = (tx: Db, id: string, reason: DisabledReason) =>
  tx
    .updateTable("webhooks")
    .set({ enabled: false, disabled_reason: reason })
    .where("id", "=", id)
    .execute();

/** Webhooks with deliveries that are due. */
export async function listStuck(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from webhooks
    where enabled and exists (
      select from webhook_deliveries
      where webhook_id = webhooks.id and state = 'waiting' and due_at <= now()
    )`.execute(db);
  return rows.map(({ id }) => id);
}

/** The tenant's active owners, for notices. The table belongs to the feature `users`. */
export async function listOwnerEmails(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ email: string }>`
    select email from users where role = 'owner' and is_active order by id`.execute(db);
  return rows.map(({ email }) => email);
}
