import type { Kysely } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";
import type { Catalogue } from "./catalogue.ts";
import { hostNotFound, hostTaken, reservedHost } from "./errors.ts";
import { canonicalHost } from "./hostname.ts";
import type { TenantId } from "./tenant.ts";

/** The registered hosts: which host is which tenant's. A host may be registered before its tenant. */
export interface Hosts {
  /**
   * Registers a host, free or for a tenant.
   *
   * @throws hostTaken if it belongs to a tenant already; reservedHost, invalidHost
   */
  register(hostname: string, options?: { readonly tenantId?: TenantId }): Promise<void>;
  /** Forgets a host; with a tenant, only if it is that tenant's. @throws hostNotFound */
  unregister(hostname: string, options?: { readonly tenantId?: TenantId }): Promise<void>;
  list(options?: { readonly tenantId?: TenantId }): Promise<readonly RegisteredHost[]>;
}

export interface RegisteredHost {
  readonly hostname: string;
  readonly tenantId: TenantId | undefined;
}

export interface HostsOptions {
  readonly control: Kysely<ControlTables>;
  readonly catalogue: Catalogue;
  readonly baseDomain: string;
}

export function createHosts({ control, catalogue, baseDomain }: HostsOptions): Hosts {
  return {
    async register(hostname, { tenantId } = {}) {
      await claimHosts(control, [hostname], { tenantId, baseDomain });
      catalogue.forgetAll();
    },
    async unregister(hostname, { tenantId } = {}) {
      const { numDeletedRows } = await control
        .deleteFrom("control.hosts")
        .where("hostname", "=", canonicalHost(hostname))
        .$if(tenantId !== undefined, (query) => query.where("tenant_id", "=", tenantId ?? null))
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw hostNotFound();
      catalogue.forgetAll();
    },
    async list({ tenantId } = {}) {
      const rows = await control
        .selectFrom("control.hosts")
        .select(["hostname", "tenant_id"])
        .$if(tenantId !== undefined, (query) => query.where("tenant_id", "=", tenantId ?? null))
        .orderBy("hostname")
        .execute();
      return rows.map((row) => ({
        hostname: row.hostname,
        tenantId: row.tenant_id ?? undefined,
      }));
    },
  };
}

export interface HostClaim {
  readonly tenantId: TenantId | undefined;
  readonly baseDomain: string;
}

/**
 * Gives new and free hosts to a tenant (or registers them free); all of them, or an error. Names
 * below the base domain are not for registering: they are the tenants' slugs.
 */
export async function claimHosts(
  db: Kysely<ControlTables>,
  hostnames: readonly string[],
  { tenantId, baseDomain }: HostClaim,
): Promise<void> {
  for (const hostname of new Set(hostnames.map(canonicalHost))) {
    if (hostname === baseDomain || hostname.endsWith(`.${baseDomain}`)) throw reservedHost();
    const claimed = await db
      .insertInto("control.hosts")
      .values({ hostname, tenant_id: tenantId ?? null })
      .onConflict((conflict) =>
        conflict
          .column("hostname")
          .doUpdateSet({ tenant_id: tenantId ?? null })
          .where("control.hosts.tenant_id", "is", null),
      )
      .returning("hostname")
      .executeTakeFirst();
    if (!claimed) throw hostTaken();
  }
}
