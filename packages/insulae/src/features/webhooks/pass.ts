/**
 * Delivers events to webhooks. Deliveries wait in the tenant's own data; a job only says which
 * webhook to look at:
 *
 *     event committed ──► job(webhook) ──► pass: what is due, up to four at once ──► 2xx: delivered
 *                            ▲                  └─► anything else: due again later, at most 8 times
 *                            └── when the next is due, or the webhook has rested ──┘
 *
 * A pass is one delivery run. Each webhook has at most one at a time, under a lease in its state,
 * so a slow receiver delays nobody else. A failing webhook rests after each run, longer each time
 * up to ten minutes; a slow one rests briefly. Over all nodes, a tenant runs at most two passes for
 * webhooks that are failing or slow. A webhook is disabled if it fails for three days, answers 410,
 * or its maker is gone. Events that its maker may not read at that moment are not sent.
 *
 * A job that finds a running pass stops: the pass does not end while anything is due, and it checks
 * that under the same lock. A job that finds the webhook resting stops too: a job for the end of
 * the rest is already scheduled. If a process dies, another takes over its job and with it the
 * lease; at worst a receiver gets an event twice, with the same id.
 */
import type { QueryExecutorProvider } from "kysely";
import { Type } from "typebox";
import { uuid } from "../../kernel/feature/fields.ts";
import { type JobScope, job } from "../../kernel/feature/job.ts";
import { keepTrying } from "../../kernel/lib/keep-trying.ts";
import { counter } from "../../kernel/telemetry/metrics.ts";
import { attempt } from "./attempt.ts";
import {
  beginPass,
  disableWebhook,
  endPass,
  findNextDue,
  listDue,
  listOwnerEmails,
  listStuck,
  lockState,
  lockStates,
  noteAttempt,
} from "./pass.queries.ts";
import { makerOfEndpoint, mayRead } from "./readable.ts";
import { webhookDisabledMail } from "./webhooks.mails.ts";
import {
  type Db,
  type DisabledReason,
  deleteOldEvents,
  type EndpointRow,
  findEndpoint,
  hasEvents,
  type WebhookTables,
} from "./webhooks.queries.ts";

/** Delays between attempts in seconds: 8 attempts within a day and a half. */
const retryAfter = [5, 60, 300, 1_800, 7_200, 28_800, 86_400] as const;
const atOnce = 4;
/** How many passes of failing or slow webhooks a tenant may have at once. */
const retriesOfTenant = 2;
/** A pass is slow if its requests take longer than this; most receivers answer within a second. */
const slowMs = 5_000;
const runSeconds = 20;
const restSeconds = { first: 5, longest: 600, crowded: 3, slow: 3 } as const;
const givenUpAfterSeconds = 3 * 86_400;
const keptDays = 30;
const dayMs = 86_400_000;

type Scope = JobScope<WebhookTables>;
type Jobs = Scope["jobs"];

/** Delivers what is due to one webhook. */
export const deliver = job("webhooks.deliver", {
  data: Type.Object({ webhook: uuid }),
  retries: 10,
  timeoutSeconds: 120,
  // Not charged: enqueued in the transaction of the change, which must not fail because of it.
  uncounted: true,
  async run({ webhook }, scope: Scope): Promise<void> {
    await expectCleanUp(scope);
    const before = await begin(scope, webhook);
    if (!before) return;
    const endpoint = await findEndpoint(scope.db, webhook);
    // If the webhook has been deleted, so have its deliveries.
    if (endpoint) await pass(scope, endpoint, before);
  },
});

/**
 * Daily, for as long as the tenant has events: deletes old events, and wakes webhooks with overdue
 * deliveries in case their job was lost. The first delivery schedules it (`expectCleanUp`).
 */
export const cleanUp = job("webhooks.clean-up", {
  uncounted: true,
  priority: -1,
  retries: 20,
  async run(_, { db, jobs }: Scope) {
    await deleteOldEvents(db, keptDays);
    for (const id of await listStuck(db)) await wake(jobs, id);
    if (await hasEvents(db)) await cleanUpTomorrow(jobs);
  },
});

const cleanUpTomorrow = (jobs: Jobs) =>
  jobs.send(cleanUp, {}, { key: "tomorrow", after: new Date(Date.now() + dayMs) });

/**
 * Schedules the clean-up. Half a day of caching suffices, because one is waiting while there are
 * events.
 */
const expectCleanUp = ({ cache, jobs }: Scope): Promise<string> =>
  cache.getOrSet("webhooks.clean-up", () => cleanUpTomorrow(jobs), { ttl: dayMs / 2_000 });

/** Notifies the owners that a webhook was disabled. */
export const notifyOwners = job("webhooks.tell-owners", {
  data: Type.Object({
    webhook: uuid,
    reason: Type.Union([Type.Literal("failing"), Type.Literal("gone"), Type.Literal("maker_gone")]),
  }),
  uncounted: true,
  async run({ webhook, reason }, { db, mail }: Scope) {
    const endpoint = await findEndpoint(db, webhook);
    if (!endpoint) return;
    const { host } = new URL(endpoint.url);
    for (const to of await listOwnerEmails(db)) {
      await mail.send(webhookDisabledMail, { to, variables: { host, reason } });
    }
  },
});

/** Schedules delivery of what is due to a webhook. @param tx the transaction that makes it due */
export const wake = (jobs: Jobs, webhook: string, tx?: QueryExecutorProvider) =>
  // Only one job per key waits; when it runs, it sees everything that is due by then.
  jobs.send(deliver, { webhook }, { key: webhook, ...(tx && { tx }) });

const wakeAt = (jobs: Jobs, webhook: string, at: Date, tx: QueryExecutorProvider) =>
  jobs.send(deliver, { webhook }, { key: `${webhook} ${at.toISOString()}`, after: at, tx });

/** The outcome of a webhook's previous passes. */
interface History {
  /** How many passes in a row delivered nothing. */
  readonly failures: number;
  /** Whether the requests of the last pass took longer than `slowMs`. */
  readonly slow: boolean;
}

/** Takes the lease. @returns the history; undefined if there is nothing to do here */
const begin = ({ db, job, jobs }: Scope, webhook: string): Promise<History | undefined> =>
  db.transaction().execute(async (tx) => {
    await lockStates(tx);
    const state = await lockState(tx, webhook, job.id);
    if (!state?.enabled || state.taken || state.resting) return undefined;
    const { failures, slow, retrying } = state;
    if ((failures > 0 || slow) && retrying >= retriesOfTenant) {
      const until = await endPass(tx, webhook, { failures, slow, resting: restSeconds.crowded });
      if (until) await wakeAt(jobs, webhook, until, tx);
      return undefined;
    }
    await beginPass(tx, webhook, job.id);
    return { failures, slow };
  });

/** Sends until nothing is due, the receiver fails or is slow, or the time is up. */
async function pass(scope: Scope, endpoint: EndpointRow, before: History): Promise<void> {
  const { db, signal } = scope;
  const until = performance.now() + runSeconds * 1_000;
  let { failures, slow } = before;
  for (;;) {
    const maker = makerOfEndpoint(endpoint);
    const permissions = maker && (await scope.permissionsOf(maker));
    if (!permissions) {
      const off = "maker_gone";
      await end(scope, endpoint.id, {
        failures,
        slow,
        tried: false,
        failed: false,
        off,
        last: true,
      });
      return;
    }
    // Probe a failing webhook with a single delivery.
    const due = await listDue(db, endpoint.id, failures > 0 ? 1 : atOnce);
    const sentAt = performance.now();
    const outcomes = await Promise.all(
      due.map((delivery) =>
        mayRead(scope.events.catalogue, permissions, delivery.name)
          ? send(scope, endpoint, delivery)
          : withhold(scope, delivery),
      ),
    );
    const sent = outcomes.filter((outcome) => outcome !== "withheld");
    const tried = sent.length > 0;
    const failed = tried && !sent.includes("delivered");
    if (failed) failures += 1;
    else if (tried) failures = 0;
    if (tried) slow = performance.now() - sentAt > slowMs;
    signal.throwIfAborted();
    const course: Course = {
      failures,
      slow,
      tried,
      failed,
      off: outcomes.includes("gone") ? "gone" : undefined,
      last: failed || (tried && slow) || performance.now() > until,
    };
    if (await end(scope, endpoint.id, course)) return;
  }
}

const deliveries = counter(
  "insulae_webhook_deliveries_total",
  "Webhook deliveries by outcome of the attempt",
  ["outcome"],
);

async function send(
  { db, metrics, outbound, secrets, signal }: Scope,
  endpoint: EndpointRow,
  { event_id, payload, ...delivery }: Awaited<ReturnType<typeof listDue>>[number],
) {
  const made = await attempt({ outbound, secrets, signal }, endpoint, { id: event_id, payload });
  const again = made.outcome === "delivered" ? undefined : retryAfter[delivery.attempts];
  // Jitter, so that deliveries that failed together are not retried together.
  const againIn = again && again * (1 + Math.random() / 5);
  await keepTrying(() => noteAttempt(db, delivery, made, againIn));
  const waits = again === undefined ? "failed" : "delayed";
  const outcome = made.outcome === "delivered" ? "delivered" : waits;
  metrics.counter(deliveries, { outcome }).add();
  return made.outcome;
}

/** Fails a delivery, without retries, because the webhook's maker may not read the event. */
async function withhold(
  { db, metrics }: Scope,
  { id, attempts }: { readonly id: string; readonly attempts: number },
): Promise<"withheld"> {
  const reason = "Not sent: the webhook's responsible user may not read this event";
  const made = { outcome: "failed", status: null, excerpt: null, reason } as const;
  await noteAttempt(db, { id, attempts }, made, undefined);
  metrics.counter(deliveries, { outcome: "withheld" }).add();
  return "withheld";
}

interface Course extends History {
  /** Whether anything was sent in this round. */
  readonly tried: boolean;
  /** Whether something was sent and nothing was delivered. */
  readonly failed: boolean;
  /** Why the webhook is to be disabled. */
  readonly off: Exclude<DisabledReason, "failing"> | undefined;
  /** Whether the pass ends even if more is due. */
  readonly last: boolean;
}

/**
 * Releases the lease and schedules the next pass. @returns false if more is due and the pass goes
 * on
 */
async function end(scope: Scope, webhook: string, course: Course): Promise<boolean> {
  const { db, jobs, job, events, log } = scope;
  const ended = await db.transaction().execute(async (tx) => {
    const state = await lockState(tx, webhook, job.id);
    // The webhook was deleted, or another job has taken over.
    if (!state?.mine) return true;
    const next = await findNextDue(tx, webhook);
    if (next?.now && !course.last) return false;
    const { failures, slow } = course;
    const rested = await endPass(tx, webhook, { failures, slow, resting: restOf(course) });
    const reason = state.enabled ? givenUp(course, state.failing_for) : undefined;
    if (reason) await switchOff(scope, webhook, reason, tx);
    else if (rested) await wakeAt(jobs, webhook, rested, tx);
    else if (next?.now) await wake(jobs, webhook, tx);
    else if (next) await wakeAt(jobs, webhook, next.at, tx);
    return reason ?? true;
  });
  if (typeof ended === "boolean") return ended;
  log.warn({ webhook_id: webhook, reason: ended }, "A webhook was disabled");
  await events.forget();
  return true;
}

async function switchOff(
  { jobs, audit }: Scope,
  webhook: string,
  reason: DisabledReason,
  tx: Db,
): Promise<void> {
  await disableWebhook(tx, webhook, reason);
  await jobs.send(notifyOwners, { webhook, reason }, { tx });
  const target = { type: "webhook", id: webhook };
  await audit({ action: "webhook.disabled", target, detail: { reason } }, tx);
}

/** How many seconds to send nothing to the webhook. */
function restOf({ failures, failed, slow, tried }: Course): number {
  if (failed) return Math.min(restSeconds.first * 2 ** (failures - 1), restSeconds.longest);
  // Gives the tenant's other slow webhooks a turn.
  return tried && slow ? restSeconds.slow : 0;
}

const givenUp = ({ failed, off }: Course, failingFor: number): DisabledReason | undefined => {
  if (off) return off;
  return failed && failingFor > givenUpAfterSeconds ? "failing" : undefined;
};
