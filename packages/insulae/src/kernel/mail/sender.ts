/**
 * Works the queue of mails off: takes what is due, in turns between the tenants (`turns.ts`), composes
 * it, gives it to the driver, and notes what became of it. Any number of nodes do so at once.
 *
 *   waiting ──take──► (leased) ──250──► sent
 *      ▲                  ├──nothing to say──► dropped
 *      └──4xx, no answer──┴──5xx, or too often──► failed
 *
 * It wakes when a mail is announced and when the next one is due, and looks by itself every half
 * minute, should an announcement be lost. A crash between the server's 250 and the note here sends a
 * mail twice, never not at all.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Kysely } from "kysely";
import type { Delivery } from "../delivery/message.ts";
import { Undeliverable } from "../delivery/message.ts";
import { databaseUnavailable } from "../engine/errors.ts";
import type { Platform } from "../feature/platform.ts";
import { AppError } from "../lib/errors.ts";
import { keepTrying } from "../lib/keep-trying.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter } from "../telemetry/metrics.ts";
import { keptText } from "../telemetry/redact.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import { fillIn, layOut } from "./layout.ts";
import {
  deleteFinished,
  finish,
  nextDueMs,
  type Outcome,
  type TakenMail,
  tryLater,
} from "./queue.ts";
import type { AnyMailTemplate, Composed, MailTemplate, MailTexts } from "./template.ts";
import { createMailTurns } from "./turns.ts";

export interface MailSender {
  /** Begins; before that, mails are only enqueued. */
  start(): void;
  /** There may be something to do. */
  wake(): void;
  /** Deletes what is no longer of use. */
  sweep(): Promise<void>;
  /** Lets what is being sent finish for a moment; the rest is due again when its lease ends. */
  close(): Promise<void>;
}

export interface MailSenderOptions {
  readonly control: Kysely<ControlTables>;
  readonly templates: ReadonlyMap<string, AnyMailTemplate>;
  readonly delivery: Pick<Delivery, "mail">;
  /** A tenant's own texts of a mail, if it has some. */
  readonly textsOf: (tenant: Tenant, name: string) => Promise<MailTexts | undefined>;
  readonly platform: Platform;
  readonly log: Logger;
  /** How many mails are sent at once. */
  readonly concurrency?: number;
  /** Longer than any delivery takes, with the driver's timeouts. */
  readonly leaseMs?: number;
  readonly maxAttempts?: number;
  /** How long to wait after the n-th failed attempt. */
  readonly backoffMs?: (attempts: number) => number;
}

const mails = counter("insulae_mails_total", "Mails, by what became of an attempt to send them", [
  "outcome",
]);

const lookEveryMs = 30_000;
/** How often an idle sender looks while others work. */
const lookBesideMs = 1_000;
const closeGraceMs = 1_000;
const keptDays = 30;

/** 15 s, 1 min, 4 min, … over four hours in all, each half more or less, so that nodes don't meet. */
const backoff = (attempts: number): number => 15_000 * 4 ** (attempts - 1) * (0.5 + Math.random());

/** In one process. */
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

  /** Sends mails, one after another, until there is none for it. */
  const work = async (): Promise<void> => {
    try {
      while (running) {
        const mail = await turns.take();
        if (!mail) break;
        // Where one is due there may be another.
        wake();
        await handle(mail).finally(() => turns.release(mail));
      }
    } catch (error) {
      // Whatever was taken is due again when its lease ends.
      log.warn({ err: error }, "The queue of mails can't be reached; it will be tried again");
    }
  };

  /** Until the next mail is due. */
  const rest = (): void => {
    if (!running) return;
    const wakeIn = (ms: number) => {
      // Beside others what is due may be more than its tenant's share: then it waits for one of them.
      const least = workers.size > 0 ? lookBesideMs : 10;
      clearTimeout(timer);
      timer = setTimeout(wake, Math.min(Math.max(ms, least), lookEveryMs)).unref();
    };
    wakeIn(lookEveryMs);
    asking = asking
      .then(() => nextDueMs(control))
      .then(
        (ms) => void (ms !== undefined && running && workers.size < concurrency && wakeIn(ms)),
        (error: unknown) => log.warn({ err: error }, "The queue of mails can't be reached"),
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
    // It has left: what goes wrong from here on doesn't call it back.
    count(outcome.state);
    await keepTrying(
      () => finish(control, mail, outcome),
      () => running,
    );
  };

  const deliver = async (mail: TakenMail): Promise<Outcome> => {
    // By its name, it is the template that the variables were written for.
    const template = options.templates.get(mail.template) as MailTemplate<unknown> | undefined;
    // A node of a newer version may know it.
    if (!template) throw new Error(`no mail is called ${mail.template}`);
    const tenant = mail.tenant_id ? await platform.tenants.find(mail.tenant_id) : undefined;
    if (mail.tenant_id && tenant?.status !== "active") {
      return { state: "dropped", reason: "the tenant is not active" };
    }
    const { appUrl } = platform.config;
    const composed = await template.compose(mail.variables, {
      to: mail.recipient,
      tenant,
      platform,
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

  /** In the tenant's own texts; in ours if it has none, or they can't be rendered. */
  const write = async (
    template: MailTemplate<unknown>,
    composed: Composed,
    tenant: Tenant | undefined,
  ) => {
    const brand = platform.mail.brandOf(tenant);
    const filling = { composed, links: template.links, brand };
    const own = tenant && (await options.textsOf(tenant, template.name));
    try {
      if (own) return layOut(await fillIn(platform.mail.textsOf(tenant), own, filling), brand);
    } catch (error) {
      // Invalid, too expensive, or behind too many others of the tenant: the mail goes out in any case.
      if (!(error instanceof AppError)) throw error;
      log.warn(
        { tenant_id: tenant?.id, template: template.name, code: error.code, reason: error.message },
        "A tenant's own mail can't be rendered; the built-in one is sent in its place",
      );
    }
    return layOut(await fillIn(platform.mail.textsOf(undefined), template, filling), brand);
  };

  const fail = async (mail: TakenMail, error: unknown): Promise<void> => {
    const reason = keptText(error instanceof Error ? error.message : String(error), 500);
    const about = { mail_id: mail.id, template: mail.template, attempts: mail.attempts, reason };
    // A database that is away says nothing of the mail: it waits for it, a quarter of an hour at a time.
    const isAway = error instanceof AppError && error.code === databaseUnavailable.code;
    if (error instanceof Undeliverable || (mail.attempts >= maxAttempts && !isAway)) {
      count("failed");
      await finish(control, mail, { state: "failed", reason });
      log.error(about, "A mail could not be sent, and was given up");
      return;
    }
    count("delayed");
    const waitMs = backoffMs(isAway ? Math.min(mail.attempts, 4) : mail.attempts);
    await tryLater(control, mail, reason, waitMs);
    log.warn(about, "A mail could not be sent; it will be tried again");
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
