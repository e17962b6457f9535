/**
 * What a tenant may have, and do in a day: what its plan says (`config.quotas`), or what platform
 * administrators have set for it alone (`settings.limits`, where its own rate stands too).
 */
import { type QuotaName, type Quotas, quotaNames } from "../../config.ts";
import { defineError } from "../errors.ts";
import type { Tenant } from "./tenant.ts";

/**
 * One code and status for all quotas, those of a day and those that stand: 429, with Retry-After only
 * where waiting helps. The members say which quota it is, how much it allows, and the plan.
 */
export const quotaExceeded = defineError(
  "quota_exceeded",
  429,
  "The tenant's plan allows no more of this",
);

export interface Plans {
  /** How much of it the tenant may have; undefined: as much as it likes. */
  quotaOf(tenant: Tenant, name: QuotaName): number | undefined;
  /** All that are limited. Made once for each tenant that the catalogue knows. */
  quotasOf(tenant: Tenant): Quotas;
}

/** @param table the plans; one that is missing has the quotas of `free`. */
export function createPlans(table: Readonly<Record<string, Quotas>>): Plans {
  const plans = new Map(Object.entries(table));
  // A tenant's object is replaced when anything about the tenant changes.
  const known = new WeakMap<Tenant, Quotas>();

  const quotasOf = (tenant: Tenant): Quotas => {
    let quotas = known.get(tenant);
    if (!quotas) {
      const plan = plans.get(tenant.plan) ?? plans.get("free") ?? {};
      const limited = quotaNames
        .map((name) => [name, ownLimit(tenant, name) ?? plan[name] ?? 0] as const)
        .filter(([, amount]) => amount > 0);
      quotas = Object.fromEntries(limited);
      known.set(tenant, quotas);
    }
    return quotas;
  };
  return { quotasOf, quotaOf: (tenant, name) => quotasOf(tenant)[name] };
}

/** What platform administrators have set for this tenant; 0 stands for no limit. */
export function ownLimit(tenant: Tenant, name: string): number | undefined {
  const own: unknown = tenant.settings.limits;
  if (typeof own !== "object" || own === null || !Object.hasOwn(own, name)) return undefined;
  const amount: unknown = Reflect.get(own, name);
  if (typeof amount !== "number" || amount < 0) return undefined;
  return Math.min(Math.floor(amount), Number.MAX_SAFE_INTEGER);
}
