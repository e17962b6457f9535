/**
 * Records attempts on other tenants in the audit logs and the server log. A caller can make
 * thousands a minute, which would swell logs that are never shortened, including the victim's. So a
 * user's first attempt on a tenant is recorded at once, and those of each following minute
 * together:
 *
 *     first attempt ──► entry          others ──► counted ──► one entry a minute, with `count`
 *
 * The number of pairs counted is bounded per tenant and in total. Attempts beyond that are counted
 * in a metric, and logged once a minute.
 */

import type { FastifyRequest } from "fastify";
import type { AuditActor, AuditEntry, WriteAudit } from "../audit/audit.ts";
import { Fifo } from "../lib/fifo.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter, type Metrics } from "../telemetry/metrics.ts";
import type { CrossTenantAttempt } from "./resolution.ts";

export interface CrossTenantAudit {
  /** Records an attempt; the refusal doesn't wait for it. */
  readonly note: (attempt: CrossTenantAttempt) => void;
  /** Writes pending counts; resolves when everything is written. */
  readonly close: () => Promise<void>;
}

export interface CrossTenantAuditOptions {
  readonly audit: WriteAudit;
  /** Where a request came from. */
  readonly sourceOf: (
    request: FastifyRequest,
  ) => Pick<AuditEntry, "ip" | "userAgent" | "requestId">;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const minuteMs = 60_000;
const checkEveryMs = 5_000;
/** The maximum of pairs of user and tenant counted at a time. */
const maxPairs = 1_000;
/** The maximum of pairs per users' tenant, and per requested tenant. */
const maxPairsOfTenant = 100;
/** Attempts whose entries are written concurrently. Others wait in line, at most one per pair. */
const writesAtOnce = 2;
/** A request can name the tenant with a text as long as a header. */
const maxNameLength = 200;

const dropped = counter(
  "insulae_cross_tenant_attempts_dropped_total",
  "Attempts on other tenants missing from the audit logs because too many were being counted",
);

/** A user and the tenant that they requested. */
interface Pair {
  readonly tenants: ReadonlySet<string>;
  /** Writes the entries; never rejects. */
  readonly write: (count: number | undefined) => Promise<void>;
  /** Attempts since the last entry. */
  repeats: number;
  dueAt: number;
  /** Its last entry is waiting or being written. */
  busy: boolean;
}

export function createCrossTenantAudit(options: CrossTenantAuditOptions): CrossTenantAudit {
  const { log } = options;
  const countDropped = options.metrics.counter(dropped);
  /** In the order in which their minutes end. */
  const pairs = new Map<string, Pair>();
  const pairsOf = new Map<string, number>();
  const waiting = new Fifo<() => Promise<void>>();
  const atWork = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let saidAt = Number.NEGATIVE_INFINITY;

  const writeNext = (): void => {
    while (atWork.size < writesAtOnce) {
      const work = waiting
        .shift()?.()
        .then(() => {
          atWork.delete(work as Promise<void>); // assigned by then
          writeNext();
        });
      if (!work) return;
      atWork.add(work);
    }
  };
  const write = (pair: Pair, count?: number): void => {
    pair.busy = true;
    waiting.push(async () => {
      await pair.write(count);
      pair.busy = false;
    });
    writeNext();
  };
  /** Writes the count. */
  const flush = (pair: Pair): void => {
    write(pair, pair.repeats);
    pair.repeats = 0;
  };

  const change = (tenants: ReadonlySet<string>, by: 1 | -1): void => {
    for (const tenant of tenants) {
      const count = (pairsOf.get(tenant) ?? 0) + by;
      if (count === 0) pairsOf.delete(tenant);
      else pairsOf.set(tenant, count);
    }
  };
  /** Flushes the pairs whose minute is over, and forgets those without repeats. */
  const check = (): void => {
    const now = Date.now();
    for (const [name, pair] of pairs) {
      if (pair.dueAt > now) break;
      pairs.delete(name);
      if (pair.repeats === 0 && !pair.busy) {
        change(pair.tenants, -1);
        continue;
      }
      if (pair.repeats > 0 && !pair.busy) flush(pair);
      pair.dueAt = now + minuteMs;
      pairs.set(name, pair);
    }
    if (pairs.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  const drop = (): void => {
    countDropped.add();
    if (Date.now() - saidAt < minuteMs) return;
    saidAt = Date.now();
    log.warn("Too many attempts on other tenants: the audit logs omit some");
  };

  return {
    note(attempt) {
      const { name, tenants } = pairOf(attempt);
      const known = pairs.get(name);
      if (known) {
        known.repeats += 1;
        return;
      }
      const isFull = [...tenants].some((one) => (pairsOf.get(one) ?? 0) >= maxPairsOfTenant);
      if (isFull || pairs.size >= maxPairs) {
        drop();
        return;
      }
      const pair: Pair = {
        tenants,
        write: entriesOf(attempt, options),
        repeats: 0,
        dueAt: Date.now() + minuteMs,
        busy: false,
      };
      pairs.set(name, pair);
      change(tenants, 1);
      timer ??= setInterval(check, checkEveryMs).unref();
      write(pair);
    },
    async close() {
      clearInterval(timer);
      for (const pair of pairs.values()) if (pair.repeats > 0) flush(pair);
      while (atWork.size > 0) await Promise.all(atWork);
    },
  };
}

/** All tenants that don't exist count as one, so that guessing names doesn't make many pairs. */
function pairOf({ user, userTenant, requestTenant }: CrossTenantAttempt) {
  const [from, to] = [userTenant?.id ?? "", requestTenant?.id ?? ""];
  return {
    name: `${from} ${to} ${user}`,
    tenants: new Set([`from ${from}`, ...(to === "" ? [] : [`to ${to}`])]),
  };
}

const machine = "certificate:";

const actorOf = (user: string): AuditActor =>
  user.startsWith(machine)
    ? { kind: "certificate", id: user.slice(machine.length) }
    : { kind: "user", id: user };

/**
 * Records the attempt in the platform's log, in that of the user's own tenant, and in that of the
 * requested tenant, which learns nothing of the user but an opaque id.
 */
function entriesOf(
  { user, userTenant, requestTenant, named, request }: CrossTenantAttempt,
  { audit, log, sourceOf }: CrossTenantAuditOptions,
): Pair["write"] {
  const attempt = {
    user,
    user_tenant: userTenant?.key,
    request_tenant: named.slice(0, maxNameLength),
  };
  const entry = {
    action: "auth.cross_tenant_refused",
    outcome: "refused",
    actor: actorOf(user),
    ...(request && sourceOf(request)),
  } as const;
  const target = { type: "tenant", id: requestTenant?.id ?? attempt.request_tenant };
  return async (count) => {
    const counted = count === undefined ? {} : { count };
    const detail = { ...attempt, ...counted };
    log.warn(detail, "Cross-tenant access attempt");
    await Promise.all([
      audit({ ...entry, target, detail }),
      userTenant && audit({ ...entry, target, detail: counted, tenant: userTenant }),
      requestTenant && audit({ ...entry, detail: counted, tenant: requestTenant }),
    ]);
  };
}
