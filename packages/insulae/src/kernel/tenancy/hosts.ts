import { isIP } from "node:net";
import type { Kysely } from "kysely";
import type { TenantId } from "../lib/ids.ts";
import { checkHostSettings, type HostSettings } from "../model/host-settings.ts";
import { canonicalHost } from "../net/hostname.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { CertificatePair } from "../tls/certificate-pair.ts";
import type { HostCertificates } from "../tls/host-certificates.ts";
import { type Catalogue, lookupsOf } from "./catalogue.ts";
import { hostNotFound, hostTaken, reservedHost, tenantNotFound } from "./errors.ts";
import { canonicalTenantKey } from "./tenant-key.ts";

/** The registry of hosts and their tenants. A host may be registered before its tenant exists. */
export interface Hosts {
  /**
   * Registers a host for a tenant, for a future tenant, or as free.
   *
   * @throws hostTaken if it is registered already, unless it is free and is now given to a tenant;
   *   reservedHost, invalidHost, tenantNotFound, unfitCertificate, validationFailed
   * @example
   * await app.hosts.register("shop.acme.example", { tenant: "acme", tls: { cert, key } });
   */
  register(hostname: string, options?: HostRegistration): Promise<void>;
  /** Replaces the host's settings. @throws hostNotFound */
  update(hostname: string, settings: HostSettings): Promise<void>;
  find(hostname: string): Promise<RegisteredHost | undefined>;
  /**
   * Removes a host; if a tenant is given, only if the host is that tenant's. The tenant stays, even
   * without hosts.
   *
   * @throws hostNotFound
   */
  unregister(hostname: string, options?: { readonly tenantId?: TenantId }): Promise<void>;
  list(options?: { readonly tenantId?: TenantId }): Promise<readonly RegisteredHost[]>;
  /** Call this after a change that bypassed this interface. */
  forget(): void;
}

export interface HostRegistration {
  /** The tenant's id, key, slug or number, or the key of a future tenant. */
  readonly tenant?: string;
  /** The host's certificate, for servers that terminate TLS themselves. */
  readonly tls?: CertificatePair;
  readonly settings?: HostSettings;
}

export interface RegisteredHost {
  readonly hostname: string;
  readonly tenantId: TenantId | undefined;
  /** The key of the future tenant that it is reserved for. */
  readonly waitsFor: string | undefined;
  readonly settings: HostSettings;
}

export interface HostsOptions {
  readonly control: Kysely<ControlTables>;
  readonly catalogue: Catalogue;
  readonly certificates: HostCertificates;
  readonly baseDomain: string;
}

export function createHosts(options: HostsOptions): Hosts {
  const { control, catalogue, certificates, baseDomain } = options;

  /** The tenant, or the key of a future one. */
  const ownerOf = async (reference: string) => {
    const tenant = await catalogue.findByReference(reference);
    if (tenant) return { tenant };
    if (lookupsOf(reference)[0]?.by !== "key") throw tenantNotFound();
    return { waitsFor: canonicalTenantKey(reference) };
  };

  const set = async (db: Kysely<ControlTables>, hostname: string, settings: HostSettings) => {
    const { numUpdatedRows } = await db
      .updateTable("control.hosts")
      .set({ settings: JSON.stringify(settings) })
      .where("hostname", "=", hostname)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  };

  const list = async (where: { readonly tenantId?: TenantId; readonly hostname?: string } = {}) => {
    const { tenantId, hostname } = where;
    const rows = await control
      .selectFrom("control.hosts")
      .select(["hostname", "tenant_id", "waits_for", "settings"])
      .$if(tenantId !== undefined, (query) => query.where("tenant_id", "=", tenantId ?? null))
      .$if(hostname !== undefined, (query) => query.where("hostname", "=", hostname ?? ""))
      .orderBy("hostname")
      .execute();
    return rows.map((row) => ({
      hostname: row.hostname,
      tenantId: row.tenant_id ?? undefined,
      waitsFor: row.waits_for ?? undefined,
      settings: row.settings,
    }));
  };

  return {
    async register(name, { tenant, tls, settings } = {}) {
      const hostname = canonicalHost(name);
      if (settings) checkHostSettings(settings);
      const owner = tenant === undefined ? {} : await ownerOf(tenant);
      await control.transaction().execute(async (tx) => {
        await claimHosts(tx, [name], { ...owner, baseDomain });
        if (settings) await set(tx, hostname, settings);
        if (tls) await certificates.put(hostname, tls, tx);
      });
      catalogue.forgetAll();
    },
    async update(name, settings) {
      const hostname = canonicalHost(name);
      checkHostSettings(settings);
      if (!(await set(control, hostname, settings))) throw notRegistered(hostname);
      catalogue.forgetAll();
    },
    find: async (name) => (await list({ hostname: canonicalHost(name) }))[0],
    async unregister(name, { tenantId } = {}) {
      const hostname = canonicalHost(name);
      const { numDeletedRows } = await control
        .deleteFrom("control.hosts")
        .where("hostname", "=", hostname)
        .$if(tenantId !== undefined, (query) => query.where("tenant_id", "=", tenantId ?? null))
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw notRegistered(hostname);
      catalogue.forgetAll();
    },
    list,
    forget: catalogue.forgetAll,
  };
}

const notRegistered = (hostname: string) =>
  hostNotFound({ detail: `host ${hostname} is not registered` });

export interface HostClaim {
  /** The new owner of the hosts; undefined: none yet. */
  readonly tenant?: { readonly id: TenantId; readonly key: string };
  /** The key of the future tenant that they are reserved for. */
  readonly waitsFor?: string;
  readonly baseDomain: string;
  /** The hosts must be registered already. */
  readonly registered?: boolean;
}

/**
 * Whether the name belongs to the platform or this machine, or is a tenant's slug, and can't be
 * registered.
 */
export const isReserved = (hostname: string, baseDomain: string): boolean =>
  hostname === baseDomain ||
  hostname.endsWith(`.${baseDomain}`) ||
  hostname === "localhost" ||
  isIP(hostname) !== 0;

/**
 * Assigns new and free hosts to a tenant, or registers them as free: all of them or none. Names
 * below the base domain (the tenants' slugs), `localhost` and IP addresses (which reach the server
 * itself) can't be registered.
 *
 * @throws hostTaken, hostNotFound, reservedHost, invalidHost
 */
export async function claimHosts(
  db: Kysely<ControlTables>,
  hostnames: readonly string[],
  claim: HostClaim,
): Promise<void> {
  const { tenant, waitsFor, baseDomain, registered } = claim;
  // Sorted, so that two concurrent claims of the same hosts can't deadlock.
  for (const hostname of [...new Set(hostnames.map((name) => canonicalHost(name)))].sort()) {
    if (isReserved(hostname, baseDomain)) throw reservedHost();
    if (tenant && (await takeFree(db, hostname, tenant))) continue;
    if (registered && !(await isRegistered(db, hostname))) throw notRegistered(hostname);
    const { numInsertedOrUpdatedRows } = await db
      .insertInto("control.hosts")
      .values({ hostname, tenant_id: tenant?.id ?? null, waits_for: waitsFor ?? null })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) {
      throw hostTaken({ detail: `host ${hostname} is already registered` });
    }
  }
}

/** Assigns a host that belongs to nobody and is not reserved for another tenant. */
async function takeFree(
  db: Kysely<ControlTables>,
  hostname: string,
  tenant: { readonly id: TenantId; readonly key: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("control.hosts")
    .set({ tenant_id: tenant.id, waits_for: null })
    .where("hostname", "=", hostname)
    .where("tenant_id", "is", null)
    .where((eb) => eb.or([eb("waits_for", "is", null), eb("waits_for", "=", tenant.key)]))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

async function isRegistered(db: Kysely<ControlTables>, hostname: string): Promise<boolean> {
  const row = await db
    .selectFrom("control.hosts")
    .select("hostname")
    .where("hostname", "=", hostname)
    .executeTakeFirst();
  return row !== undefined;
}
