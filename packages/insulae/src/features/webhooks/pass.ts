/**
 * How deliveries leave. They wait in the tenant's own data; a job is only the alarm that says which
 * webhook to look at:
 *
 *     event committed ──► job(webhook) ──► pass: what is due, up to four at once ──► 2xx: delivered
 *                            ▲                  └─► anything else: due again later, at most 8 times
 *                            └── when the next is due, or the webhook has rested ──┘
 *
 * A webhook has one pass at a time, under a lease in its state: a slow receiver holds up nobody else's.
 * One that fails rests, longer each time, up to ten minutes, one that is slow for a moment. Of those that
 * have failed or were slow a tenant has two passes at a time, on all nodes together; one that has failed for three days, or answers 410, is
 * switched off, and so is one whose maker is gone. What its maker may not read at that moment is not sent.
 *
 * Who finds a pass under way goes away: the pass doesn't end while anything is due, and it looks under
 * the same lock. Who finds the webhook at rest goes away too: whoever sent it to rest has sent a job for
 * the end of that. A process that dies leaves a job that another takes over, and the lease is that
 * job's; at worst a receiver gets an event twice, with the same id.
 */
import type { QueryExecutorProvider } from "kysely";
import { Type } from "typebox";
import { uuid } from "../../kernel/feature/fields.ts";
import { type JobScope, job } from "../../kernel/jobs/job.ts";
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

/** Seconds between the attempts; so 8 of them, within a day and a half. */
const retryAfter = [5, 60, 300, 1_800, 7_200, 28_800, 86_400] as const;
const atOnce = 4;
/** Of webhooks that have failed, or were slow. */
const retriesOfTenant = 2;
/** Most receivers answer within a second. */
const slowMs = 5_000;
const passSeconds = 20;
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
  // Sent in the transaction of whatever happened, which is not to fail for it.
  uncounted: true,
  async run({ webhook }, scope: Scope): Promise<void> {
    await expectCleanUp(scope);
    const before = await begin(scope, webhook);
    if (!before) return;
    const endpoint = await findEndpoint(scope.db, webhook);
    // Deleted since, and its deliveries with it.
    if (endpoint) await pass(scope, endpoint, before);
  },
});

/**
 * Once a day, for as long as the tenant has events: what is old goes, and what was forgotten is remembered. The
 * first delivery has it begin (`expectCleanUp`).
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

/** While there are events a clean-up waits: to ask for one twice a day is enough. */
const expectCleanUp = ({ cache, jobs }: Scope): Promise<string> =>
  cache.getOrSet("webhooks.clean-up", () => cleanUpTomorrow(jobs), { ttl: dayMs / 2_000 });

/** Tells the owners that a webhook was switched off. */
export const tellOwners = job("webhooks.tell-owners", {
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

/** Has what is due to a webhook delivered. @param tx the transaction that makes it due. */
export const wake = (jobs: Jobs, webhook: string, tx?: QueryExecutorProvider) =>
  // Of one key only one waits: it will see all that is due by then.
  jobs.send(deliver, { webhook }, { key: webhook, ...(tx && { tx }) });

const wakeAt = (jobs: Jobs, webhook: string, at: Date, tx: QueryExecutorProvider) =>
  jobs.send(deliver, { webhook }, { key: `${webhook} ${at.toISOString()}`, after: at, tx });

/** How it went with a webhook. */
interface History {
  /** How many times in a row nothing got through. */
  readonly failures: number;
  /** Whether an attempt of the last took longer than `slowMs`. */
  readonly slow: boolean;
}

/** Takes the lease. @returns how it went before; undefined: there is nothing to do here. */
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

/** Sends what is due, until nothing is, or nothing gets through, or it is others' turn. */
async function pass(scope: Scope, endpoint: EndpointRow, before: History): Promise<void> {
  const { db, signal } = scope;
  const until = performance.now() + passSeconds * 1_000;
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
    // One that has failed is asked once, to see.
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
  "Deliveries of events to webhooks, by what became of an attempt",
  ["outcome"],
);

async function send(
  { db, metrics, outbound, secrets, signal }: Scope,
  endpoint: EndpointRow,
  { event_id, payload, ...delivery }: Awaited<ReturnType<typeof listDue>>[number],
) {
  const made = await attempt({ outbound, secrets, signal }, endpoint, { id: event_id, payload });
  const again = made.outcome === "delivered" ? undefined : retryAfter[delivery.attempts];
  // All that failed together need not come back together.
  const againIn = again && again * (1 + Math.random() / 5);
  await keepTrying(() => noteAttempt(db, delivery, made, againIn));
  const waits = again === undefined ? "failed" : "delayed";
  const outcome = made.outcome === "delivered" ? "delivered" : waits;
  metrics.counter(deliveries, { outcome }).add();
  return made.outcome;
}

/** What its maker may not read (any more) is not sent, and not tried again. */
async function withhold(
  { db, metrics }: Scope,
  { id, attempts }: { readonly id: string; readonly attempts: number },
): Promise<"withheld"> {
  const reason = "Not sent: whoever answers for the webhook may not read this";
  const made = { outcome: "failed", status: null, excerpt: null, reason } as const;
  await noteAttempt(db, { id, attempts }, made, undefined);
  metrics.counter(deliveries, { outcome: "withheld" }).add();
  return "withheld";
}

interface Course extends History {
  /** Whether something was sent just now. */
  readonly tried: boolean;
  /** Whether nothing of it got through. */
  readonly failed: boolean;
  /** Why nothing more is to be sent to it. */
  readonly off: Exclude<DisabledReason, "failing"> | undefined;
  /** Whether the pass ends even if something is due. */
  readonly last: boolean;
}

/** Gives the lease back, and says when somebody has to look again. @returns false: go on. */
async function end(scope: Scope, webhook: string, course: Course): Promise<boolean> {
  const { db, jobs, job, events, log } = scope;
  const ended = await db.transaction().execute(async (tx) => {
    const state = await lockState(tx, webhook, job.id);
    // Deleted, or somebody else's since.
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
  log.warn({ webhook_id: webhook, reason: ended }, "A webhook was switched off");
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
  await jobs.send(tellOwners, { webhook, reason }, { tx });
  const target = { type: "webhook", id: webhook };
  await audit({ action: "webhook.disabled", target, detail: { reason } }, tx);
}

/** How long nothing is sent to it, in seconds. */
function restOf({ failures, failed, slow, tried }: Course): number {
  if (failed) return Math.min(restSeconds.first * 2 ** (failures - 1), restSeconds.longest);
  // Whoever else of the tenant's is slow has its turn.
  return tried && slow ? restSeconds.slow : 0;
}

const givenUp = ({ failed, off }: Course, failingFor: number): DisabledReason | undefined => {
  if (off) return off;
  return failed && failingFor > givenUpAfterSeconds ? "failing" : undefined;
};
