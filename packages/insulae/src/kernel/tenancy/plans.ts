/**
 * Tenants' quotas, standing and daily: those of the plan (`config.quotas`), overridden by the
 * limits that platform administrators set for a tenant (`settings.limits`, which also holds its
 * request rate).
 */
import { type QuotaName, type Quotas, quotaNames } from "../../config/quotas.ts";
import { type AppError, defineError } from "../lib/errors.ts";
import type { Tenant } from "../model/tenant.ts";

/**
 * All quotas, standing or daily, share one code and status 429. Retry-After is sent only where
 * waiting helps. The members name the quota, its limit and the plan.
 */
export const quotaExceeded = defineError(
  "quota_exceeded",
  429,
  "The tenant has reached a quota of its plan",
);

/** The SQLSTATE raised by the counting trigger; see migrations/app/0006_quotas.sql. */
export const quotaUsedUp = "QX001";

export const isQuotaUsedUp = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === quotaUsedUp;

/** The trigger's error for the client. Its detail contains no data of the row. */
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

/** The error, naming the quota, its limit and the plan. */
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
  /** The tenant's limit; undefined: no limit. */
  quotaOf(tenant: Tenant, name: QuotaName): number | undefined;
  /** All quotas with a limit. */
  quotasOf(tenant: Tenant): Quotas;
  /** The same for the counting triggers (`app.quotas`); undefined: nothing to count. */
  settingOf(tenant: Tenant): string | undefined;
}

/** @param table the quotas by plan; a plan that is missing has those of `free` */
export function createPlans(table: Readonly<Record<string, Quotas>>): Plans {
  const plans = new Map(Object.entries(table));
  // Keyed by object: a tenant's object is replaced whenever the tenant changes.
  const known = new WeakMap<Tenant, { readonly quotas: Quotas; readonly setting?: string }>();

  const find = (tenant: Tenant) => {
    let found = known.get(tenant);
    if (!found) {
      const plan = plans.get(tenant.plan) ?? plans.get("free") ?? {};
      const limited = quotaNames
        .map((name) => [name, ownLimit(tenant, name) ?? plan[name] ?? 0] as const)
        .filter(([, amount]) => amount > 0);
      // The server counts requests; no table does.
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

/** The limit that platform administrators set for this tenant; 0: no limit. */
export function ownLimit(tenant: Tenant, name: string): number | undefined {
  const own: unknown = tenant.settings.limits;
  if (typeof own !== "object" || own === null || !Object.hasOwn(own, name)) return undefined;
  const amount: unknown = Reflect.get(own, name);
  if (typeof amount !== "number" || amount < 0) return undefined;
  return Math.min(Math.floor(amount), Number.MAX_SAFE_INTEGER);
}
