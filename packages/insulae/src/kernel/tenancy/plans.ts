/**
 * What a tenant may have, and do in a day: what its plan says (`config.quotas`), or what platform
 * administrators have set for it alone (`settings.limits`, where its own rate stands too).
 */
import { type QuotaName, type Quotas, quotaNames } from "../../config/quotas.ts";
import { type AppError, defineError } from "../lib/errors.ts";
import type { Tenant } from "./tenant.ts";

/**
 * One code and status for all quotas, those of a day and those that stand: 429, with Retry-After only
 * where waiting helps. The members say which quota it is, how much it allows, and the plan.
 */
export const quotaExceeded = defineError(
  "quota_exceeded",
  429,
  "The tenant has used up a quota of its plan",
);

/** The SQLSTATE of the trigger that counts; see migrations/app/0006_quotas.sql. */
export const quotaUsedUp = "QX001";

export const isQuotaUsedUp = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === quotaUsedUp;

/** What the trigger refused, for the client. Its detail holds nothing of a row. */
export function quotaError(cause: unknown): AppError {
  const usedUp: unknown = JSON.parse(String(Reflect.get(Object(cause), "detail")));
  return quotaExceededBy(usedUp as UsedUp, Date.now(), cause); // the trigger made it
}

interface UsedUp {
  readonly quota: QuotaName;
  readonly limit: number;
  readonly plan: string;
}

const dayMs = 86_400_000;

/** The error that names the quota, how much it allows, and the plan. */
export function quotaExceededBy(usedUp: UsedUp, now = Date.now(), cause?: unknown): AppError {
  const { quota, limit, plan } = usedUp;
  const daily = quota.endsWith("_per_day");
  return quotaExceeded({
    detail: `The plan ${plan} allows ${limit} (${quota}). The setting is PLAN_QUOTAS.`,
    members: { quota, limit, plan, setting: "PLAN_QUOTAS" },
    headers: daily ? { "retry-after": String(Math.ceil((dayMs - (now % dayMs)) / 1000)) } : {},
    cause,
  });
}

export interface Plans {
  /** How much of it the tenant may have; undefined: as much as it likes. */
  quotaOf(tenant: Tenant, name: QuotaName): number | undefined;
  /** All that are limited. */
  quotasOf(tenant: Tenant): Quotas;
  /** The same for the triggers that count, in `app.quotas`; undefined: they have nothing to count. */
  settingOf(tenant: Tenant): string | undefined;
}

/** @param table the plans; one that is missing has the quotas of `free`. */
export function createPlans(table: Readonly<Record<string, Quotas>>): Plans {
  const plans = new Map(Object.entries(table));
  // A tenant's object is replaced when anything about the tenant changes.
  const known = new WeakMap<Tenant, { readonly quotas: Quotas; readonly setting?: string }>();

  const find = (tenant: Tenant) => {
    let found = known.get(tenant);
    if (!found) {
      const plan = plans.get(tenant.plan) ?? plans.get("free") ?? {};
      const limited = quotaNames
        .map((name) => [name, ownLimit(tenant, name) ?? plan[name] ?? 0] as const)
        .filter(([, amount]) => amount > 0);
      // Requests are counted by the server, not by a table.
      const held = limited.filter(([name]) => name !== "requests_per_day");
      const about = { plan: tenant.plan, basis: tenant.updatedAt };
      found = {
        quotas: Object.fromEntries(limited),
        ...(held.length > 0 && {
          setting: JSON.stringify({ ...about, ...Object.fromEntries(held) }),
        }),
      };
      known.set(tenant, found);
    }
    return found;
  };
  return {
    quotasOf: (tenant) => find(tenant).quotas,
    quotaOf: (tenant, name) => find(tenant).quotas[name],
    settingOf: (tenant) => find(tenant).setting,
  };
}

/** What platform administrators have set for this tenant; 0 stands for no limit. */
export function ownLimit(tenant: Tenant, name: string): number | undefined {
  const own: unknown = tenant.settings.limits;
  if (typeof own !== "object" || own === null || !Object.hasOwn(own, name)) return undefined;
  const amount: unknown = Reflect.get(own, name);
  if (typeof amount !== "number" || amount < 0) return undefined;
  return Math.min(Math.floor(amount), Number.MAX_SAFE_INTEGER);
}
