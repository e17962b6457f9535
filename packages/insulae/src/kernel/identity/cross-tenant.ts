/**
 * Attempts on other tenants, in the audit logs and in the server's. Somebody can make thousands a
 * minute, and each entry would go into logs that are never shortened, the victim's among them. So the
 * first attempt of a user on a tenant is noted at once, and the others of each minute together:
 *
 *     first attempt ──► entry          others ──► counted ──► one entry a minute, with `count`
 *
 * What is counted, and so what waits to be written, is bounded for each tenant and in all. Attempts
 * beyond that are counted in a metric, and the log says so once a minute.
 */

import type { FastifyRequest } from "fastify";
import type { AuditActor, AuditEntry, WriteAudit } from "../audit/audit.ts";
import { Fifo } from "../lib/fifo.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter, type Metrics } from "../telemetry/metrics.ts";
import type { CrossTenantAttempt } from "./resolution.ts";

export interface CrossTenantAudit {
  /** Notes an attempt. The refusal doesn't wait for it. */
  readonly note: (attempt: CrossTenantAttempt) => void;
  /** Writes what has only been counted; resolves when everything is written. */
  readonly close: () => Promise<void>;
}

export interface CrossTenantAuditOptions {
  readonly audit: WriteAudit;
  /** From where a request came. */
  readonly sourceOf: (
    request: FastifyRequest,
  ) => Pick<AuditEntry, "ip" | "userAgent" | "requestId">;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const minuteMs = 60_000;
const checkEveryMs = 5_000;
/** Pairs of a user and a tenant that are counted at a time. */
const maxPairs = 1_000;
/** Of these, with users of one tenant; and as many with one tenant that is asked for. */
const maxPairsOfTenant = 100;
/** Attempts whose entries are written at a time. The others wait in line: at most one for each pair. */
const writesAtOnce = 2;
/** What a request calls the tenant may be as long as a header. */
const maxNameLength = 200;

const dropped = counter(
  "insulae_cross_tenant_attempts_dropped_total",
  "Attempts on other tenants that no audit log has, because too many pairs of user and tenant were counted",
);

/** A user, and the tenant that they asked for. */
interface Pair {
  readonly tenants: ReadonlySet<string>;
  /** Writes the entries, and never rejects. */
  readonly write: (count: number | undefined) => Promise<void>;
  /** Since the last entry. */
  repeats: number;
  dueAt: number;
  /** Its last entry waits, or is being written. */
  busy: boolean;
}

export function createCrossTenantAudit(options: CrossTenantAuditOptions): CrossTenantAudit {
  const { log } = options;
  const countDropped = options.metrics.counter(dropped);
  /** Whose minute ends first comes first. */
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
          atWork.delete(work as Promise<void>); // it is assigned by then
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
  /** Writes what was counted. */
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
  /** Looks at the pairs whose minute is over. One that nobody repeated is forgotten. */
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
    log.warn("Too many attempts on other tenants: the audit logs leave some out for now");
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

/** Tenants that don't exist are one: whoever tries names would otherwise be many pairs. */
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
 * What notes the attempt: in the platform's log, in that of the user's own tenant, and in that of the
 * tenant that was asked for, which learns neither who the user is (beyond an opaque id) nor whose.
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
