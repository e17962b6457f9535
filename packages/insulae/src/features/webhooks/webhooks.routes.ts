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

/** A URL's path or query may contain a secret, so the audit log gets only the host. */
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
      summary: "Lists all events with the schemas of their data",
      description:
        "The body of a webhook request is `{ type, timestamp, data }`. The schemas describe `data`, the object after the change.",
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
        "Each event is sent to its URL, signed as in Standard Webhooks with the `secret` that this response contains, which is shown only once. The caller becomes responsible for the webhook and needs the permissions to read the events' data, now and at each delivery.",
      body: NewWebhook,
      response: { 201: MadeWebhook },
      errors: [webhookAddressRefused, unknownEvent, eventNotReadable, tooManyWebhooks],
    },
    async (context) => {
      const made = await addWebhook(context, context.body);
      await context.audit({ action: "webhook.created", ...aboutOf(made) });
      return made;
    },
  ),

  r.get(
    "/webhooks/:id",
    {
      permission: "webhooks:read",
      summary: "Returns a webhook",
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
      summary: "Changes, enables or disables a webhook",
      description:
        "A caller who changes `url` or `events`, or enables the webhook, becomes responsible for it and needs the permissions to read its events' data.",
      params: idParams,
      body: WebhookChanges,
      response: Webhook,
      errors: [webhookNotFound, webhookAddressRefused, unknownEvent, eventNotReadable],
    },
    async (context) => {
      const changed = await changeWebhook(context, context.params.id, context.body);
      // Deliver what has been waiting.
      if (changed.enabled) await wake(context.jobs, changed.id);
      await context.audit({ action: "webhook.changed", ...aboutOf(changed) });
      return changed;
    },
  ),

  r.delete(
    "/webhooks/:id",
    {
      permission: "webhooks:write",
      audit: "webhook.deleted",
      summary: "Deletes a webhook and its deliveries",
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
      summary: "Replaces the webhook's secret",
      description:
        "For 24 hours requests carry the signatures of both secrets. Needs the permissions to read the data of the webhook's events.",
      params: idParams,
      response: RotatedSecret,
      errors: [webhookNotFound, eventNotReadable],
    },
    (context) => rotateSecret(context, context.params.id),
  ),

  r.post(
    "/webhooks/:id/test",
    {
      permission: "webhooks:write",
      audit: "webhook.tested",
      summary: "Sends the event `webhook.tested` at once and returns the outcome",
      description: "One attempt, even if the webhook is disabled.",
      params: idParams,
      response: Delivery,
      errors: [webhookNotFound],
    },
    (context) => testWebhook(context, context.params.id),
  ),

  r.get(
    "/webhooks/:id/deliveries",
    {
      permission: "webhooks:read",
      summary: "Lists a webhook's deliveries of the last 30 days, newest first",
      params: idParams,
      query: pageQuery({ state: Type.Optional(State) }),
      response: pageOf(DeliveryHead),
      errors: [webhookNotFound],
    },
    async ({ db, user, events, params: { id }, query: { state }, page }) => {
      await findWebhook(db, id).then(orThrow(webhookNotFound));
      const { items, next_cursor } = await listDeliveries(db, { webhookId: id, state }, page);
      // A response may echo the event's data.
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
      summary: "Returns a delivery with its body",
      description: "Needs the permission to read the event's data.",
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
      summary: "Sends an event again",
      description:
        "Creates a new delivery with the same `webhook-id` and body, so that the receiver can recognise a duplicate.",
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
