/**
 * The rules about webhooks: allowed URLs, events and secrets. A URL's address is checked when it is
 * configured, to give feedback, and again at each request, which is the actual protection.
 */

import type { Events } from "../../kernel/feature/events.ts";
import type { Credential } from "../../kernel/identity/credential.ts";
import { makerOf } from "../../kernel/identity/makers.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import type { TenantSecrets } from "../../kernel/lib/secrets.ts";
import { timeText } from "../../kernel/lib/times.ts";
import { type Outbound, OutboundError } from "../../kernel/net/outbound.ts";
import { attempt, secretPurpose } from "./attempt.ts";
import { refuseUnreadable } from "./readable.ts";
import { newSecret } from "./signature.ts";
import {
  type Db,
  findDelivery,
  findEndpoint,
  insertLoneEvent,
  insertTriedDelivery,
  insertWebhook,
  replaceSecret,
  updateWebhook,
  type WebhookRow,
  type WebhookTables,
} from "./webhooks.queries.ts";
import type { NewWebhookBody } from "./webhooks.schemas.ts";

export const webhookNotFound = defineError("webhook_not_found", 404, "There is no such webhook");
export const deliveryNotFound = defineError("delivery_not_found", 404, "There is no such delivery");
export const webhookAddressRefused = defineError(
  "webhook_address_refused",
  400,
  "A webhook's URL must use https and lead to a public address",
);
export const unknownEvent = defineError(
  "unknown_event",
  400,
  "There is no such event. GET /api/v1/webhooks/events lists them.",
);
export const tooManyWebhooks = defineError(
  "too_many_webhooks",
  409,
  "A tenant can have at most 20 webhooks. Delete one first.",
);
export const webhookDisabled = defineError(
  "webhook_disabled",
  409,
  "The webhook is disabled. Enable it first.",
);

const maxWebhooks = 20;
const lookUpMs = 5_000;

/** The caller who sets up a webhook and answers for what is sent to it. */
export interface Making {
  readonly user: TenantPrincipal;
  readonly credential: Credential;
}

export interface WebhookDeps {
  readonly db: Db;
  readonly events: Events<WebhookTables>;
  readonly outbound: Outbound;
  readonly secrets: TenantSecrets;
}

/** @throws webhookAddressRefused, unknownEvent, eventNotReadable, tooManyWebhooks */
export async function addWebhook(
  deps: WebhookDeps & Making,
  { url, events, description = null, enabled = true }: NewWebhookBody,
): Promise<WebhookRow & { readonly secret: string }> {
  const { db, secrets } = deps;
  const wanted = await checked(deps, { url, events });
  const secret = newSecret();
  const sealed_secret = secrets.seal(secretPurpose, secret);
  const made = await db.transaction().execute(async (tx) => {
    await refuseBeyond(tx, "webhooks", maxWebhooks, tooManyWebhooks);
    const values = { url, events, ...wanted, description, enabled, sealed_secret };
    return insertWebhook(tx, values, makerOf(deps.user, deps.credential));
  });
  await deps.events.forget();
  return { ...made, secret };
}

/**
 * A caller who changes the URL or events, or enables the webhook, becomes its maker.
 *
 * @throws webhookNotFound, webhookAddressRefused, unknownEvent, eventNotReadable
 */
export async function changeWebhook(
  deps: WebhookDeps & Making,
  id: string,
  changes: Partial<NewWebhookBody>,
): Promise<WebhookRow> {
  const { db, events, user, credential } = deps;
  const takesOver = changes.url !== undefined || changes.events !== undefined || changes.enabled;
  const maker = takesOver ? makerOf(user, credential) : undefined;
  const wanted = await checked(deps, changes);
  const changed = await db.transaction().execute(async (tx) => {
    const row = await updateWebhook(tx, id, { ...changes, ...wanted }, maker);
    if (row && maker) refuseUnreadable(events.catalogue, user, row.events);
    return row;
  });
  if (!changed) throw webhookNotFound();
  await deps.events.forget();
  return changed;
}

/**
 * Replaces the secret and returns the new one, the only time. Since it allows forging events, this
 * needs the permissions to read them.
 *
 * @throws webhookNotFound, eventNotReadable
 */
export async function rotateSecret(
  { db, events, secrets, user }: WebhookDeps & Pick<Making, "user">,
  id: string,
) {
  const secret = newSecret();
  const replaced = await db.transaction().execute(async (tx) => {
    const row = await replaceSecret(tx, id, secrets.seal(secretPurpose, secret));
    if (row) refuseUnreadable(events.catalogue, user, row.events);
    return row;
  });
  if (!replaced) throw webhookNotFound();
  return { secret, previous_until: replaced.previous_until };
}

/** Sends `webhook.tested` once, at once. @throws webhookNotFound */
export async function testWebhook({ db, outbound, secrets }: WebhookDeps, id: string) {
  const endpoint = await findEndpoint(db, id);
  if (!endpoint) throw webhookNotFound();
  const name = "webhook.tested";
  const payload = JSON.stringify({
    type: name,
    timestamp: timeText(new Date()),
    data: { webhook_id: endpoint.id },
  });
  const eventId = await insertLoneEvent(db, { name, payload });
  const made = await attempt({ outbound, secrets }, endpoint, { id: eventId, payload });
  const tried = await insertTriedDelivery(db, endpoint.id, eventId, made);
  const delivery = tried && (await findDelivery(db, endpoint.id, tried));
  if (!delivery) throw webhookNotFound();
  return delivery;
}

async function checked(
  { outbound, events, user }: WebhookDeps & Making,
  wanted: { readonly url?: string | undefined; readonly events?: readonly string[] | undefined },
) {
  const names = new Set(events.catalogue.map(({ name }) => name as string));
  if (wanted.events?.some((name) => name !== "*" && !names.has(name))) throw unknownEvent();
  refuseUnreadable(events.catalogue, user, wanted.events ?? []);
  if (wanted.url !== undefined) {
    await outbound.check(wanted.url, lookUpMs).catch((error: unknown) => {
      if (error instanceof OutboundError) throw webhookAddressRefused({ cause: error });
      throw error;
    });
  }
  return {
    ...(wanted.url !== undefined && { url: canonicalUrl(wanted.url) }),
    ...(wanted.events && { events: [...new Set(wanted.events)] }),
  };
}

/** The URL as requested: without its fragment, which is never sent. */
function canonicalUrl(text: string): string {
  const url = new URL(text);
  url.hash = "";
  return url.href;
}
