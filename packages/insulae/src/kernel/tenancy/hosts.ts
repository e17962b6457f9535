import type { Kysely } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";
import type { CertificatePair } from "../tls/certificate-pair.ts";
import type { HostCertificates } from "../tls/host-certificates.ts";
import type { Catalogue } from "./catalogue.ts";
import { hostNotFound, hostTaken, reservedHost, tenantNotFound } from "./errors.ts";
import { canonicalHost } from "./hostname.ts";
import type { TenantId } from "./tenant.ts";

/** The registered hosts: which host is which tenant's. A host may be registered before its tenant. */
export interface Hosts {
  /**
   * Registers a host, free or for a tenant, and gives it its certificate.
   *
   * @throws hostTaken if it belongs to a tenant already; reservedHost, invalidHost, tenantNotFound,
   *   unfitCertificate
   * @example
   * await app.hosts.register("shop.acme.example", { tenant: "acme", tls: { cert, key } });
   */
  register(hostname: string, options?: HostRegistration): Promise<void>;
  /** Forgets a host; with a tenant, only if it is that tenant's. @throws hostNotFound */
  unregister(hostname: string, options?: { readonly tenantId?: TenantId }): Promise<void>;
  list(options?: { readonly tenantId?: TenantId }): Promise<readonly RegisteredHost[]>;
  /** To be called after a change that was made past this. */
  forget(): void;
}

export interface HostRegistration {
  /** The tenant's id, key, slug or number. */
  readonly tenant?: string;
  /** What the server shows for this host where it ends TLS itself. */
  readonly tls?: CertificatePair;
}

export interface RegisteredHost {
  readonly hostname: string;
  readonly tenantId: TenantId | undefined;
}

export interface HostsOptions {
  readonly control: Kysely<ControlTables>;
  readonly catalogue: Catalogue;
  readonly certificates: HostCertificates;
  readonly baseDomain: string;
}

export function createHosts(options: HostsOptions): Hosts {
  const { control, catalogue, certificates, baseDomain } = options;

  const idOf = async (reference: string): Promise<TenantId> => {
    const tenant = await catalogue.findByReference(reference);
    if (!tenant) throw tenantNotFound();
    return tenant.id;
  };

  return {
    async register(hostname, { tenant, tls } = {}) {
      const tenantId = tenant === undefined ? undefined : await idOf(tenant);
      await control.transaction().execute(async (tx) => {
        await claimHosts(tx, [hostname], { tenantId, baseDomain });
        if (tls) await certificates.put(canonicalHost(hostname), tls, tx);
      });
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
    forget: catalogue.forgetAll,
  };
}

export interface HostClaim {
  readonly tenantId: TenantId | undefined;
  readonly baseDomain: string;
}

/** Whether a name is the platform's own, or a tenant's slug: not for registering. */
export const isReserved = (hostname: string, baseDomain: string): boolean =>
  hostname === baseDomain || hostname.endsWith(`.${baseDomain}`);

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
    if (isReserved(hostname, baseDomain)) throw reservedHost();
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
