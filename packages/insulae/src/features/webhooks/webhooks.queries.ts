import {
  type ColumnType,
  type Generated,
  type Insertable,
  type Kysely,
  type NotNull,
  type QueryExecutorProvider,
  sql,
} from "kysely";
import { deleteInBatches } from "../../kernel/data/delete-in-batches.ts";
import type { Page } from "../../kernel/feature/page.ts";
import type { Maker } from "../../kernel/identity/makers.ts";
import type { UserId } from "../../kernel/lib/ids.ts";

export interface Attempt {
  /** `gone`: the receiver answered 410 and wants no more events. */
  readonly outcome: "delivered" | "failed" | "gone";
  readonly status: number | null;
  readonly excerpt: string | null;
  readonly reason: string | null;
}

export interface WebhookTables {
  webhooks: {
    id: ColumnType<string, never, never>;
    url: string;
    events: string[];
    description: string | null;
    enabled: Generated<boolean>;
    disabled_reason: ColumnType<DisabledReason | null, never, DisabledReason | null>;
    sealed_secret: string;
    previous_sealed_secret: string | null;
    previous_until: ColumnType<Date | null, never, Date | null>;
    made_by: UserId | null;
    made_with_key: string | null;
    made_with_certificate: string | null;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
  webhook_states: {
    webhook_id: ColumnType<string, string, never>;
    failures: ColumnType<number, never, number>;
    slow: ColumnType<boolean, never, boolean>;
    failing_since: ColumnType<Date | null, never, Date | null>;
    rests_until: ColumnType<Date | null, never, Date | null>;
    pass_by: ColumnType<string | null, never, string | null>;
    pass_until: ColumnType<Date | null, never, Date | null>;
  };
  webhook_events: {
    id: ColumnType<string, never, never>;
    name: string;
    payload: string;
    created_at: ColumnType<Date, never, never>;
  };
  webhook_deliveries: {
    id: ColumnType<string, never, never>;
    webhook_id: string;
    event_id: string;
    state: Generated<DeliveryState>;
    attempts: Generated<number>;
    due_at: ColumnType<Date, never, Date>;
    tried_at: ColumnType<Date | null, never, Date>;
    response_status: ColumnType<number | null, never, number | null>;
    response_excerpt: ColumnType<string | null, never, string | null>;
    reason: ColumnType<string | null, never, string | null>;
    created_at: ColumnType<Date, never, never>;
  };
}

/**
 * Why the server disabled it: it failed for days, its server answered 410, or its maker is gone.
 */
export type DisabledReason = "failing" | "gone" | "maker_gone";
export type DeliveryState = "waiting" | "delivered" | "failed";

export type Db = Kysely<WebhookTables>;

const failingSince = sql<Date | null>`(
  select failing_since from webhook_states where webhook_id = webhooks.id
)`.as("failing_since");

/** All columns except the secrets. */
const columns = [
  "id",
  "url",
  "events",
  "description",
  "enabled",
  "disabled_reason",
  failingSince,
  "made_by",
  "created_at",
  "updated_at",
] as const;

export const listWebhooks = (db: Db) =>
  db.selectFrom("webhooks").select(columns).orderBy("id", "desc").execute();

export const findWebhook = (db: Db, id: string) =>
  db.selectFrom("webhooks").select(columns).where("id", "=", id).executeTakeFirst();

export type WebhookRow = NonNullable<Awaited<ReturnType<typeof findWebhook>>>;

/** The webhook as a delivery needs it. */
export const findEndpoint = (db: Db, id: string) =>
  db
    .selectFrom("webhooks")
    .select(["id", "url", "sealed_secret", "made_by", "made_with_key", "made_with_certificate"])
    .select(
      sql<string | null>`case when previous_until > now() then previous_sealed_secret end`.as(
        "previous_sealed_secret",
      ),
    )
    .where("id", "=", id)
    .executeTakeFirst();

export type EndpointRow = NonNullable<Awaited<ReturnType<typeof findEndpoint>>>;

type Values = Pick<
  Insertable<WebhookTables["webhooks"]>,
  "url" | "events" | "description" | "enabled" | "sealed_secret"
>;

/** The columns that record the maker. */
const madeBy = ({ userId, apiKeyId, certificateId }: Maker) => ({
  made_by: userId,
  made_with_key: apiKeyId,
  made_with_certificate: certificateId,
});

export async function insertWebhook(tx: Db, values: Values, maker: Maker): Promise<WebhookRow> {
  const { id } = await tx
    .insertInto("webhooks")
    .values({ ...values, ...madeBy(maker) })
    .returning("id")
    .executeTakeFirstOrThrow();
  await tx.insertInto("webhook_states").values({ webhook_id: id }).execute();
  const made = await findWebhook(tx, id);
  if (!made) throw new Error("the webhook was created but cannot be found");
  return made;
}

/**
 * Enabling a webhook or changing its URL resets its failures.
 *
 * @param maker the new maker, who answers for it; undefined: unchanged
 */
export async function updateWebhook(
  tx: Db,
  id: string,
  changes: Partial<Omit<Values, "sealed_secret">>,
  maker: Maker | undefined,
): Promise<WebhookRow | undefined> {
  const fresh = changes.enabled === true || changes.url !== undefined;
  await tx
    .updateTable("webhooks")
    // A person has just decided whether it is enabled, so the server's reason no longer applies.
    .set({
      ...changes,
      ...(maker && madeBy(maker)),
      ...(changes.enabled !== undefined && { disabled_reason: null }),
    })
    .where("id", "=", id)
    .execute();
  if (fresh) {
    await tx
      .updateTable("webhook_states")
      .set({ failures: 0, failing_since: null, rests_until: null })
      .where("webhook_id", "=", id)
      .execute();
  }
  return findWebhook(tx, id);
}

export const deleteWebhook = (db: Db, id: string) =>
  db.deleteFrom("webhooks").where("id", "=", id).returning(["id", "url"]).executeTakeFirst();

/** The current secret keeps signing for a day. */
export const replaceSecret = (db: Db, id: string, sealed: string) =>
  db
    .updateTable("webhooks")
    .set({
      previous_sealed_secret: sql<string>`sealed_secret`,
      previous_until: sql<Date>`now() + interval '24 hours'`,
      sealed_secret: sealed,
    })
    .where("id", "=", id)
    .returning(["events", "previous_until"])
    .$narrowType<{ previous_until: NotNull }>()
    .executeTakeFirst();

/** The events that some webhook wants. */
export async function findWantedEvents(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select distinct unnest(events) as name from webhooks where enabled`.execute(db);
  return rows.map(({ name }) => name);
}

/**
 * Stores an event for the webhooks that want it now.
 *
 * @returns the webhooks to deliver it to
 */
export async function insertEvents(
  tx: QueryExecutorProvider,
  { name, payloads }: { readonly name: string; readonly payloads: readonly string[] },
): Promise<readonly string[]> {
  // Locks the webhooks: one that is being deleted is either gone here or its deletion waits.
  const { rows } = await sql<{ id: string }>`
    with
      wanting as (
        select id from webhooks
        where enabled and events && array[${name}, '*']::text[]
        for key share
      ),
      event as (
        insert into webhook_events (name, payload)
        select ${name}, payload
        from unnest(${payloads}::text[]) as each (payload)
        where exists (select from wanting)
        returning id
      ),
      delivery as (
        insert into webhook_deliveries (webhook_id, event_id)
        select wanting.id, event.id
        from wanting, event
        returning webhook_id
      )
    select distinct webhook_id as id from delivery`.execute(tx);
  return rows.map(({ id }) => id);
}

/** Stores an event for a single webhook. @returns its id */
export async function insertLoneEvent(
  db: Db,
  event: { readonly name: string; readonly payload: string },
): Promise<string> {
  const { id } = await db
    .insertInto("webhook_events")
    .values(event)
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

/** Stores a delivery with its only attempt. @returns its id; undefined if the webhook is gone */
export async function insertTriedDelivery(
  db: Db,
  webhookId: string,
  eventId: string,
  { outcome, status, excerpt, reason }: Attempt,
): Promise<string | undefined> {
  const state: DeliveryState = outcome === "delivered" ? "delivered" : "failed";
  const { rows } = await sql<{ id: string }>`
    insert into webhook_deliveries (
      webhook_id, event_id, state, attempts, tried_at, response_status, response_excerpt, reason
    )
    select id, ${eventId}::uuid, ${state}, 1, now(), ${status}::integer, ${excerpt}, ${reason}
    from webhooks
    where id = ${webhookId}
    for key share
    returning id`.execute(db);
  return rows[0]?.id;
}

const deliveryColumns = [
  "webhook_deliveries.id",
  "event_id",
  "name as event",
  "state",
  "attempts",
  sql<Date | null>`case when state = 'waiting' then due_at end`.as("next_attempt_at"),
  "tried_at",
  "response_status",
  "response_excerpt",
  "reason",
  "webhook_deliveries.created_at",
] as const;

const deliveriesOf = (db: Db, webhookId: string) =>
  db
    .selectFrom("webhook_deliveries")
    .innerJoin("webhook_events", "webhook_events.id", "event_id")
    .select(deliveryColumns)
    .where("webhook_id", "=", webhookId);

export const findDelivery = (db: Db, webhookId: string, id: string) =>
  deliveriesOf(db, webhookId)
    .select("payload")
    .where("webhook_deliveries.id", "=", id)
    .executeTakeFirst();

/** One page, newest first. */
export async function listDeliveries(
  db: Db,
  { webhookId, state }: { readonly webhookId: string; readonly state: DeliveryState | undefined },
  { limit, after: [after], cursor }: Page,
) {
  let page = deliveriesOf(db, webhookId)
    .orderBy("webhook_deliveries.id", "desc")
    .limit(limit + 1);
  if (state !== undefined) page = page.where("state", "=", state);
  if (after !== undefined) page = page.where("webhook_deliveries.id", "<", after);
  const found = await page.execute();
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null };
}

/** Queues the same event again as a new delivery. */
export async function copyDelivery(
  tx: Db,
  webhookId: string,
  id: string,
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    insert into webhook_deliveries (webhook_id, event_id)
    select webhook_id, event_id from webhook_deliveries
    where id = ${id} and webhook_id = ${webhookId}
    returning id`.execute(tx);
  return rows[0]?.id;
}

/** Deletes old events together with their deliveries. */
export const deleteOldEvents = (db: Db, days: number) =>
  deleteInBatches(db, "webhook_events", sql`created_at < now() - make_interval(days => ${days})`);

/** Whether any stored event remains. */
export async function hasEvents(db: Db): Promise<boolean> {
  return (await db.selectFrom("webhook_events").select("id").limit(1).execute()).length > 0;
}
