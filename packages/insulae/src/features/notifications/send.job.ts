/**
 * Sends a notification: a job that was sent in the transaction that wrote the notification.
 *
 *   queued ──► suppressed? ──► driver ──► sent
 *     ▲                          ├─ refused for good, or too often ──► failed (and suppressed, where
 *     └───── later, by the job ──┘                                     there is nobody at that address)
 *
 * A crash between the driver's yes and the note of it sends it once more, never not at all.
 */
import { Type } from "typebox";
import { Undeliverable } from "../../kernel/delivery/message.ts";
import { uuid } from "../../kernel/feature/fields.ts";
import { type JobScope, job } from "../../kernel/jobs/job.ts";
import { withDeadline } from "../../kernel/lib/deadline.ts";
import { keepTrying } from "../../kernel/lib/keep-trying.ts";
import { keptText } from "../../kernel/telemetry/redact.ts";
import {
  findToSend,
  finish,
  type Notification,
  noteDelivered,
  noteFailure,
} from "./notifications.queries.ts";
import type { NotificationTables, Priority } from "./notifications.tables.ts";
import { deleteSubscription, subscriptionsOf } from "./subscriptions.queries.ts";
import { findSuppression, noteSuppression } from "./suppressions.queries.ts";

type Scope = JobScope<NotificationTables>;

/** 15 s, 30 s, 1 min, … over half an hour in all. */
const retries = 7;
/** Within the job's time, so that the notification says what went wrong, whatever hangs. */
const deliverMs = 90_000;

const sendAs = (priority: Priority, order: number) =>
  job(`notifications.send-${priority}`, {
    data: Type.Object({ notification_id: uuid }),
    retries,
    backoffSeconds: 15,
    timeoutSeconds: 120,
    priority: order,
    // It counts as a notification.
    uncounted: true,
    run: ({ notification_id }, scope: Scope) => send(notification_id, scope),
  });

/** By priority: of what waits, the more urgent goes first. */
export const sendNotification = {
  low: sendAs("low", -10),
  normal: sendAs("normal", 0),
  high: sendAs("high", 10),
  critical: sendAs("critical", 20),
} as const satisfies Record<Priority, unknown>;

async function send(id: string, scope: Scope): Promise<void> {
  const { db } = scope;
  const one = await findToSend(db, id);
  // Sent by an earlier attempt, or no longer there.
  if (one?.status !== "queued") return;
  const suppression = await findSuppression(db, one.type, one.recipient);
  if (suppression) {
    await finish(db, id, "suppressed", suppression.reason);
    return;
  }
  try {
    await withDeadline(deliverMs, () => deliver(one, scope));
  } catch (error) {
    await fail(one, error, scope);
    return;
  }
  await keepTrying(() => finish(db, id, "sent"));
}

/** @throws the error, where it is to be tried again. */
async function fail(one: Notification, error: unknown, { db, job, log }: Scope): Promise<void> {
  const reason = keptText(error instanceof Error ? error.message : String(error), 500);
  const forGood = error instanceof Undeliverable;
  if (!forGood && job.attempt <= retries) {
    await noteFailure(db, one.id, reason);
    throw error;
  }
  if (forGood && error.noSuchRecipient) {
    const { type, recipient } = one;
    await noteSuppression(db, { type, recipient, reason: "bounced", detail: reason });
  }
  await finish(db, one.id, "failed", reason);
  log.warn({ notification_id: one.id, reason }, "A notification could not be sent");
}

async function deliver(one: Notification, scope: Scope): Promise<void> {
  const { delivery, tenant } = scope;
  const { id, recipient: to, content } = one;
  const { subject = "", text = "", html = "" } = content ?? {};
  const message = { id, tenant, template: one.template_name ?? undefined, text };
  const urgency = { low: "low", normal: "normal", high: "high", critical: "high" } as const;
  const push = { ...message, title: subject, urgency: urgency[one.priority] };
  switch (one.type) {
    case "email":
      return delivery.mail({ ...message, to, subject, html });
    case "sms":
      return delivery.text({ ...message, to });
    case "push":
      if (one.user_id === null) return delivery.push({ ...push, to });
      return pushToBrowsers(one.user_id, one, push, scope);
  }
}

type Push = Omit<Parameters<Scope["delivery"]["push"]>[0], "to">;

/** To all of a user's browsers at once, each one time; one that is gone is forgotten. */
async function pushToBrowsers(
  userId: string,
  { id, delivered }: Notification,
  push: Push,
  { db, delivery }: Scope,
): Promise<void> {
  const browsers = await subscriptionsOf(db, userId, delivered);
  const pushed = await Promise.allSettled(
    browsers.map(async ({ id: browser, endpoint, ...keys }) => {
      try {
        await delivery.push({ ...push, to: { endpoint, keys } });
      } catch (error) {
        if (error instanceof Undeliverable && error.noSuchRecipient) {
          await deleteSubscription(db, browser);
        }
        throw error;
      }
      await keepTrying(() => noteDelivered(db, id, browser));
    }),
  );
  const failures = pushed.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  const again = failures.find((failure) => !(failure instanceof Undeliverable));
  if (again !== undefined) throw again;
  if (delivered.length + pushed.length > failures.length) return;
  // The next browser of theirs is to be pushed to: they are not suppressed.
  throw new Undeliverable("no browser of this user takes pushes", { cause: failures[0] });
}
