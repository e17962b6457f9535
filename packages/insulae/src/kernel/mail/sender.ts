/**
 * Works on the mail queue: takes what is due, in turns between the tenants (`turns.ts`), composes
 * it, hands it to the driver and records the outcome. Any number of nodes do so in parallel.
 *
 *   waiting ──take──► (leased) ──250──► sent
 *      ▲                  ├──nothing to send──► dropped
 *      └──4xx, timeout────┴──5xx, or out of retries──► failed
 *
 * It wakes when an e-mail is announced, when the next one is due, and every half minute in case an
 * announcement was lost. At least once: after a crash between the server's 250 and the record here,
 * the e-mail is sent again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Kysely } from "kysely";
import type { Delivery } from "../delivery/message.ts";
import { Undeliverable } from "../delivery/message.ts";
import { databaseUnavailable } from "../engine/errors.ts";
import { AppError } from "../lib/errors.ts";
import { keepTrying } from "../lib/keep-trying.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter, type Metrics } from "../telemetry/metrics.ts";
import { keptText } from "../telemetry/redact.ts";
import type { Tenants } from "../tenancy/tenants.ts";
import { fillIn, layOut } from "./layout.ts";
import type { Mail } from "./mail.ts";
import {
  deleteFinished,
  finish,
  nextDueMs,
  type Outcome,
  type TakenMail,
  tryLater,
} from "./queue.ts";
import type { AnyMailTemplate, Composed, MailTexts } from "./template.ts";
import { createMailTurns } from "./turns.ts";

export interface MailSender {
  /** Starts. Before that, e-mails are only enqueued. */
  start(): void;
  /** Call this when there may be work. */
  wake(): void;
  /** Deletes old e-mails. */
  sweep(): Promise<void>;
  /**
   * Lets deliveries in progress finish for a moment; the rest becomes due again when its lease
   * expires.
   */
  close(): Promise<void>;
}

/** What composing an e-mail gets from the sender. */
export interface ComposeSetting {
  readonly to: string;
  readonly tenant: Tenant | undefined;
  readonly link: (path: `/${string}`, query?: Readonly<Record<string, string>>) => string;
}

interface SenderPlatform {
  readonly config: { readonly appUrl: string };
  readonly metrics: Metrics;
  readonly tenants: Pick<Tenants, "find">;
  readonly mail: Pick<Mail, "brandOf" | "textsOf">;
}

export interface MailSenderOptions {
  readonly control: Kysely<ControlTables>;
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  readonly delivery: Pick<Delivery, "mail">;
  /** A tenant's own texts for a system e-mail, if it has any. */
  readonly textsOf: (tenant: Tenant, name: string) => Promise<MailTexts | undefined>;
  readonly platform: SenderPlatform;
  /** Runs the template's `compose` with the platform. */
  readonly compose: (
    template: AnyMailTemplate,
    variables: unknown,
    setting: ComposeSetting,
  ) => Composed | undefined | Promise<Composed | undefined>;
  readonly log: Logger;
  /** How many e-mails are sent in parallel. */
  readonly concurrency?: number;
  /** Longer than any delivery, given the driver's timeouts. */
  readonly leaseMs?: number;
  readonly maxAttempts?: number;
  /** The delay after the n-th failed attempt. */
  readonly backoffMs?: (attempts: number) => number;
}

const mails = counter("insulae_mails_total", "E-mails by outcome of the attempt to send them", [
  "outcome",
]);

const lookEveryMs = 30_000;
/** How often an idle sender polls while others work. */
const lookBesideMs = 1_000;
const closeGraceMs = 1_000;
const keptDays = 30;

/**
 * 15 s, 1 min, 4 min, …: over four hours in total, with ±50 % jitter so that nodes don't collide.
 */
const backoff = (attempts: number): number => 15_000 * 4 ** (attempts - 1) * (0.5 + Math.random());

/** Per process. */
export const mailsAtATime = 4;

export function createMailSender(options: MailSenderOptions): MailSender {
  const { control, platform, delivery, log } = options;
  const {
    concurrency = mailsAtATime,
    leaseMs = 120_000,
    maxAttempts = 7,
    backoffMs = backoff,
  } = options;
  const turns = createMailTurns({
    control,
    leaseMs,
    share: Math.max(1, Math.floor(concurrency / 2)),
  });
  const workers = new Set<Promise<void>>();
  let asking: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let running = false;

  const wake = (): void => {
    if (!running || workers.size >= concurrency) return;
    const worker: Promise<void> = work().finally(() => {
      workers.delete(worker);
      rest();
    });
    workers.add(worker);
  };

  /** Sends e-mails one by one until there is none left for it. */
  const work = async (): Promise<void> => {
    try {
      while (running) {
        const mail = await turns.take();
        if (!mail) break;
        // If one is due, there may be more.
        wake();
        await handle(mail).finally(() => turns.release(mail));
      }
    } catch (error) {
      // Whatever was taken becomes due again when its lease expires.
      log.warn({ err: error }, "Could not read the mail queue; will retry");
    }
  };

  /** Sleeps until the next e-mail is due. */
  const rest = (): void => {
    if (!running) return;
    const wakeIn = (ms: number) => {
      // While others work, what is due may exceed its tenant's share and have to wait for one of
      // them.
      const least = workers.size > 0 ? lookBesideMs : 10;
      clearTimeout(timer);
      timer = setTimeout(wake, Math.min(Math.max(ms, least), lookEveryMs)).unref();
    };
    wakeIn(lookEveryMs);
    asking = asking
      .then(() => nextDueMs(control))
      .then(
        (ms) => void (ms !== undefined && running && workers.size < concurrency && wakeIn(ms)),
        (error: unknown) => log.warn({ err: error }, "Could not read the mail queue"),
      );
  };

  const count = (outcome: string) => platform.metrics.counter(mails, { outcome }).add();
  for (const outcome of ["sent", "delayed", "failed", "dropped"]) {
    platform.metrics.counter(mails, { outcome });
  }

  const handle = async (mail: TakenMail): Promise<void> => {
    let outcome: Outcome;
    try {
      outcome = await deliver(mail);
    } catch (error) {
      await fail(mail, error);
      return;
    }
    // It has been sent; a later error must not undo that.
    count(outcome.state);
    await keepTrying(
      () => finish(control, mail, outcome),
      () => running,
    );
  };

  const deliver = async (mail: TakenMail): Promise<Outcome> => {
    // The name identifies the template that the variables were written for.
    const template = options.templates.get(mail.template);
    // A node of a newer version may know it.
    if (!template) throw new Error(`there is no mail template ${mail.template}`);
    const tenant = mail.tenant_id ? await platform.tenants.find(mail.tenant_id) : undefined;
    if (mail.tenant_id && tenant?.status !== "active") {
      return { state: "dropped", reason: "the tenant is not active" };
    }
    const { appUrl } = platform.config;
    const composed = await options.compose(template, mail.variables, {
      to: mail.recipient,
      tenant,
      link: (path, query = tenant ? { tenant: tenant.key } : {}) =>
        `${appUrl}${path}?${new URLSearchParams(query)}`.replace(/\?$/, ""),
    });
    if (!composed) return { state: "dropped", reason: "there was nothing to send" };
    const message = await write(template, composed, tenant);
    await delivery.mail({
      ...message,
      id: mail.id,
      to: mail.recipient,
      tenant,
      template: mail.template,
    });
    return { state: "sent" };
  };

  /** Renders the tenant's own texts, or the built-in ones if it has none or they fail. */
  const write = async (
    template: AnyMailTemplate,
    composed: Composed,
    tenant: Tenant | undefined,
  ) => {
    const brand = platform.mail.brandOf(tenant);
    const filling = { composed, links: template.links, brand };
    const own = tenant && (await options.textsOf(tenant, template.name));
    try {
      if (own) return layOut(await fillIn(platform.mail.textsOf(tenant), own, filling), brand);
    } catch (error) {
      // Invalid, too expensive, or queued behind too many others of the tenant: send the e-mail
      // anyway.
      if (!(error instanceof AppError)) throw error;
      log.warn(
        { tenant_id: tenant?.id, template: template.name, code: error.code, reason: error.message },
        "Could not render a tenant's own e-mail; sending the built-in one instead",
      );
    }
    return layOut(await fillIn(platform.mail.textsOf(undefined), template, filling), brand);
  };

  const fail = async (mail: TakenMail, error: unknown): Promise<void> => {
    const reason = keptText(error instanceof Error ? error.message : String(error), 500);
    const about = { mail_id: mail.id, template: mail.template, attempts: mail.attempts, reason };
    // An unreachable database says nothing about the e-mail: retry every quarter of an hour.
    const isAway = error instanceof AppError && error.code === databaseUnavailable.code;
    if (error instanceof Undeliverable || (mail.attempts >= maxAttempts && !isAway)) {
      count("failed");
      await finish(control, mail, { state: "failed", reason });
      log.error(about, "Could not send an e-mail; gave up");
      return;
    }
    count("delayed");
    const waitMs = backoffMs(isAway ? Math.min(mail.attempts, 4) : mail.attempts);
    await tryLater(control, mail, reason, waitMs);
    log.warn(about, "Could not send an e-mail; will retry");
  };

  return {
    start() {
      running = true;
      wake();
    },
    wake,
    async sweep() {
      await deleteFinished(control, keptDays);
    },
    async close() {
      running = false;
      clearTimeout(timer);
      await Promise.race([Promise.all(workers), sleep(closeGraceMs, undefined, { ref: false })]);
      await asking;
    },
  };
}
