import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { orThrow } from "../../kernel/lib/errors.ts";
import { plainSchema } from "../../kernel/validation/schemas.ts";
import { wake } from "./pass.ts";
import { eventNotReadable, mayRead, refuseUnreadable } from "./readable.ts";
import {
  copyDelivery,
  deleteWebhook,
  findDelivery,
  findWebhook,
  listDeliveries,
  listWebhooks,
  type WebhookTables,
} from "./webhooks.queries.ts";
import {
  Delivery,
  DeliveryHead,
  deliveryParams,
  EventType,
  MadeWebhook,
  NewWebhook,
  RotatedSecret,
  State,
  Webhook,
  WebhookChanges,
} from "./webhooks.schemas.ts";
import {
  addWebhook,
  changeWebhook,
  deliveryNotFound,
  rotateSecret,
  testWebhook,
  tooManyWebhooks,
  unknownEvent,
  webhookAddressRefused,
  webhookDisabled,
  webhookNotFound,
} from "./webhooks.service.ts";

/** An address may have a password in its path or query: the audit log gets the host. */
const aboutOf = ({ id, url, ...row }: { id: string; url: string; events?: string[] }) => ({
  target: { type: "webhook", id },
  detail: { host: new URL(url).host, ...(row.events && { events: row.events }) },
});

export const webhookRoutes = (r: RouteBuilder<WebhookTables>) => [
  r.get(
    "/webhooks",
    {
      permission: "webhooks:read",
      summary: "Lists the webhooks, newest first; at most 20",
      response: Type.Object({ items: Type.Array(Webhook) }),
    },
    async ({ db }) => ({ items: await listWebhooks(db) }),
  ),

  r.get(
    "/webhooks/events",
    {
      permission: "webhooks:read",
      summary: "Lists the events that there are, with the schemas of their data",
      description:
        "A request's body is `{ type, timestamp, data }`; this is about `data`, what the event is about as it is after the change.",
      response: Type.Object({ items: Type.Array(EventType) }),
    },
    ({ events }) => ({
      items: events.catalogue.map(({ schema, ...event }) => ({
        ...event,
        schema: plainSchema(schema),
      })),
    }),
  ),

  r.post(
    "/webhooks",
    {
      permission: "webhooks:write",
      impersonators: false,
      audit: "webhook.created",
      summary: "Adds a webhook",
      description:
        "Its address is asked for each event, signed after Standard Webhooks with the `secret` that this answers once. It takes the permission to read what the events are about, now and at each delivery: whoever sets it up answers for it.",
      body: NewWebhook,
      response: { 201: MadeWebhook },
      errors: [webhookAddressRefused, unknownEvent, eventNotReadable, tooManyWebhooks],
    },
    async (setting) => {
      const made = await addWebhook(setting, setting.body);
      await setting.audit({ action: "webhook.created", ...aboutOf(made) });
      return made;
    },
  ),

  r.get(
    "/webhooks/:id",
    {
      permission: "webhooks:read",
      summary: "Shows a webhook",
      params: idParams,
      response: Webhook,
      etag: "webhooks",
      errors: [webhookNotFound],
    },
    ({ db, params }) => findWebhook(db, params.id).then(orThrow(webhookNotFound)),
  ),

  r.patch(
    "/webhooks/:id",
    {
      permission: "webhooks:write",
      impersonators: false,
      audit: "webhook.changed",
      summary: "Changes a webhook, or switches it on or off",
      description:
        "Whoever changes `url` or `events`, or switches it on, answers for it from then on, and has to be permitted to read what its events are about.",
      params: idParams,
      body: WebhookChanges,
      response: Webhook,
      errors: [webhookNotFound, webhookAddressRefused, unknownEvent, eventNotReadable],
    },
    async (setting) => {
      const changed = await changeWebhook(setting, setting.params.id, setting.body);
      // What waits for it goes out.
      if (changed.enabled) await wake(setting.jobs, changed.id);
      await setting.audit({ action: "webhook.changed", ...aboutOf(changed) });
      return changed;
    },
  ),

  r.delete(
    "/webhooks/:id",
    {
      permission: "webhooks:write",
      audit: "webhook.deleted",
      summary: "Deletes a webhook, and what is known of its deliveries",
      params: idParams,
      response: { 204: null },
      errors: [webhookNotFound],
    },
    async ({ db, params, events, audit }) => {
      const deleted = await deleteWebhook(db, params.id);
      if (!deleted) throw webhookNotFound();
      await events.forget();
      await audit({ action: "webhook.deleted", ...aboutOf(deleted) });
    },
  ),

  r.post(
    "/webhooks/:id/rotate-secret",
    {
      permission: "webhooks:write",
      impersonators: false,
      audit: "webhook.secret_rotated",
      summary: "Gives the webhook another secret",
      description:
        "For 24 hours the one before signs too: requests have both signatures. It takes the permission to read what the webhook's events are about.",
      params: idParams,
      response: RotatedSecret,
      errors: [webhookNotFound, eventNotReadable],
    },
    (setting) => rotateSecret(setting, setting.params.id),
  ),

  r.post(
    "/webhooks/:id/test",
    {
      permission: "webhooks:write",
      audit: "webhook.tested",
      summary: "Sends the event `webhook.tested` at once, and says what came of it",
      description: "Once, whether or not the webhook is switched on.",
      params: idParams,
      response: Delivery,
      errors: [webhookNotFound],
    },
    (setting) => testWebhook(setting, setting.params.id),
  ),

  r.get(
    "/webhooks/:id/deliveries",
    {
      permission: "webhooks:read",
      summary: "Lists what was sent to a webhook, newest first; for 30 days",
      params: idParams,
      query: pageQuery({ state: Type.Optional(State) }),
      response: pageOf(DeliveryHead),
      errors: [webhookNotFound],
    },
    async ({ db, user, events, params: { id }, query: { state }, page }) => {
      await findWebhook(db, id).then(orThrow(webhookNotFound));
      const { items, next_cursor } = await listDeliveries(db, { webhookId: id, state }, page);
      // A receiver may answer with what it was sent.
      const shown = items.map((item) =>
        mayRead(events.catalogue, user.permissions, item.event)
          ? item
          : { ...item, response_excerpt: null },
      );
      return { items: shown, next_cursor };
    },
  ),

  r.get(
    "/webhooks/:id/deliveries/:delivery",
    {
      permission: "webhooks:read",
      summary: "Shows what was sent to a webhook, with its body",
      description: "It takes the permission to read what the event is about.",
      params: deliveryParams,
      response: Delivery,
      errors: [deliveryNotFound, eventNotReadable],
    },
    async ({ db, user, events, params: { id, delivery } }) => {
      const found = await findDelivery(db, id, delivery).then(orThrow(deliveryNotFound));
      refuseUnreadable(events.catalogue, user, [found.event]);
      return found;
    },
  ),

  r.post(
    "/webhooks/:id/deliveries/:delivery/redeliver",
    {
      permission: "webhooks:write",
      audit: "webhook.redelivered",
      summary: "Sends an event once more",
      description:
        "As a delivery of its own, with the same `webhook-id` and body, so that a receiver that had it knows it again.",
      params: deliveryParams,
      response: { 201: Delivery },
      errors: [deliveryNotFound, webhookNotFound, webhookDisabled, eventNotReadable],
    },
    async ({ db, jobs, user, events, params: { id, delivery } }) => {
      const { enabled } = await findWebhook(db, id).then(orThrow(webhookNotFound));
      if (!enabled) throw webhookDisabled();
      const { event } = await findDelivery(db, id, delivery).then(orThrow(deliveryNotFound));
      refuseUnreadable(events.catalogue, user, [event]);
      return db.transaction().execute(async (tx) => {
        const copy = await copyDelivery(tx, id, delivery).then(orThrow(deliveryNotFound));
        await wake(jobs, id, tx);
        return findDelivery(tx, id, copy).then(orThrow(deliveryNotFound));
      });
    },
  ),
];
