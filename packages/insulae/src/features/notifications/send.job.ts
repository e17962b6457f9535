/**
 * Sends a notification, as a job that is enqueued in the transaction that inserts the notification.
 *
 *   queued ──► suppressed? ──► driver ──► sent
 *     ▲                          ├─ permanent error, or out of retries ──► failed (and suppressed
 *     └───── retry ──────────────┘                                     if the address does not exist)
 *
 * At least once: after a crash between the driver's success and its record, it is sent again.
 */
import { Type } from "typebox";
import { Undeliverable } from "../../kernel/delivery/message.ts";
import { uuid } from "../../kernel/feature/fields.ts";
import { type JobScope, job } from "../../kernel/feature/job.ts";
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

/** 15 s, 30 s, 1 min, …: over half an hour in total. */
const retries = 7;
/**
 * Shorter than the job's timeout, so that the notification records the error even if a driver
 * hangs.
 */
const deliverMs = 90_000;

const sendAs = (priority: Priority, order: number) =>
  job(`notifications.send-${priority}`, {
    data: Type.Object({ notification_id: uuid }),
    retries,
    backoffSeconds: 15,
    timeoutSeconds: 120,
    priority: order,
    // Not charged as a job, because the notification is charged already.
    uncounted: true,
    run: ({ notification_id }, scope: Scope) => send(notification_id, scope),
  });

/** One job per priority; more urgent ones run first. */
export const sendNotification = {
  low: sendAs("low", -10),
  normal: sendAs("normal", 0),
  high: sendAs("high", 10),
  critical: sendAs("critical", 20),
} as const satisfies Record<Priority, unknown>;

async function send(id: string, scope: Scope): Promise<void> {
  const { db } = scope;
  const one = await findToSend(db, id);
  // Sent by an earlier attempt, or deleted.
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

/** @throws the error, if the job is to be retried */
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
  log.warn({ notification_id: one.id, reason }, "A notification failed");
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

/**
 * Pushes to all of a user's browsers at once, each time skipping those that have it. Forgets
 * browsers that are gone.
 */
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
  // Don't suppress the user: their next browser may accept pushes.
  throw new Undeliverable("none of this user's browsers accepts pushes", { cause: failures[0] });
}
