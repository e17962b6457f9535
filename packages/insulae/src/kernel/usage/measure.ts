import { sql } from "kysely";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";

export interface Measured {
  readonly tenantId: TenantId;
  readonly amounts: readonly { readonly name: string; readonly amount: string }[];
}

interface InTenants {
  withTenant<Result>(
    tenant: Tenant | TenantId,
    work: (scope: {
      readonly tenant: Tenant;
      readonly db: TenantDatabase<never>;
    }) => Promise<Result>,
  ): Promise<Result>;
}

/**
 * Counts what the tenant has, for all standing quotas. In one transaction, which also creates or
 * corrects the counters: a refused statement takes back its own count.
 */
export const measureTenant = (
  { withTenant }: InTenants,
  tenant: Tenant | TenantId,
): Promise<Measured> =>
  withTenant(tenant, async ({ tenant: { id }, db }) => {
    const amounts = await db.transaction().execute(async (tx) => {
      const { rows } = await sql<Measured["amounts"][number]>`
        select name, amount from app.measure_usage()`.execute(tx);
      return rows;
    });
    return { tenantId: id, amounts };
  });
