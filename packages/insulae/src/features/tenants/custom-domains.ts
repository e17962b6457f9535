/**
 * A tenant's hosts. A platform administrator assigns a host at once. An owner claims one, and
 * requests are routed to the tenant once the DNS shows the claim's record.
 *
 * claim → pending → (the record is seen) → active
 *
 * A claim takes nothing from anybody: several tenants may claim the same name, and whoever controls
 * the DNS wins. A host stays with the tenant that proved it as long as its record is published; if
 * it is gone, the tenant whose record is there now gets the host (a domain that was sold). No proof
 * takes away a host that the platform assigned.
 */
import type { Kysely } from "kysely";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { canonicalHost } from "../../kernel/net/hostname.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import {
  claimableDomain,
  isProven,
  newProofToken,
  type ProofRecord,
  proofRecord,
  requireProof,
} from "../../kernel/tenancy/domain-proof.ts";
import { hostNotFound, hostTaken, reservedHost } from "../../kernel/tenancy/errors.ts";
import { claimHosts, isReserved } from "../../kernel/tenancy/hosts.ts";
import type { CertificatePair } from "../../kernel/tls/certificate-pair.ts";

export const tooManyHosts = defineError(
  "too_many_hosts",
  409,
  "A tenant can have at most 100 hosts and open claims. Delete one first.",
);

const maxHosts = 100;

export interface TenantHost {
  readonly hostname: string;
  readonly status: "active" | "pending";
  /** The record to publish; null for a host that the platform assigned. */
  readonly verification: ProofRecord | null;
  readonly certificate: { readonly fingerprint: string; readonly expires_at: string } | null;
}

/** The hosts that a tenant has or claims, sorted by name. */
export async function listHosts(
  control: Kysely<ControlTables>,
  tenant: Tenant,
): Promise<readonly TenantHost[]> {
  const hosts = await control
    .selectFrom("control.hosts as h")
    .leftJoin("control.host_certificates as c", "c.hostname", "h.hostname")
    .select(["h.hostname", "c.fingerprint", "c.not_after"])
    .where("h.tenant_id", "=", tenant.id)
    .execute();
  const claims = await control
    .selectFrom("control.host_claims")
    .select(["hostname", "token"])
    .where("tenant_id", "=", tenant.id)
    .execute();
  const tokens = new Map(claims.map(({ hostname, token }) => [hostname, token]));
  const active = new Map(hosts.map((host) => [host.hostname, host]));
  return [...new Set([...active.keys(), ...tokens.keys()])].sort().map((hostname) => {
    const host = active.get(hostname);
    const token = tokens.get(hostname);
    return {
      hostname,
      status: host ? "active" : "pending",
      verification: token === undefined ? null : proofRecord(hostname, token),
      certificate:
        host?.fingerprint && host.not_after
          ? { fingerprint: host.fingerprint, expires_at: host.not_after.toISOString() }
          : null,
    };
  });
}

/** @throws hostNotFound */
async function getHost(
  control: Kysely<ControlTables>,
  tenant: Tenant,
  hostname: string,
): Promise<TenantHost> {
  const name = canonicalHost(hostname);
  const host = (await listHosts(control, tenant)).find((one) => one.hostname === name);
  if (!host) throw hostNotFound();
  return host;
}

/**
 * Stores a tenant's claim to a host and creates the DNS record to prove it.
 *
 * @throws hostTaken if the tenant has it already; reservedHost, invalidDomain, tooManyHosts
 */
export async function claimHost(
  { config, control }: Platform,
  tenant: Tenant,
  raw: string,
): Promise<TenantHost> {
  const hostname = claimableDomain(raw);
  const own = canonicalHost(new URL(config.baseUrl).hostname);
  if (isReserved(hostname, config.baseDomain) || hostname === own) throw reservedHost();
  await control.transaction().execute(async (tx) => {
    await inTurn(tx, "hosts", tenant.id);
    const known = await listHosts(tx, tenant);
    if (known.some((host) => host.hostname === hostname && host.status === "active")) {
      throw hostTaken();
    }
    if (known.length >= maxHosts) throw tooManyHosts();
    await tx
      .insertInto("control.host_claims")
      .values({ tenant_id: tenant.id, hostname, token: newProofToken() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
  return getHost(control, tenant, hostname);
}

/**
 * Looks up the claim's DNS record and assigns the host to the tenant if it is published.
 *
 * @throws domainNotProven, hostTaken, hostNotFound, dnsUnavailable
 */
export async function verifyHost(
  { config, control, dns, hosts }: Platform,
  tenant: Tenant,
  raw: string,
): Promise<TenantHost> {
  const hostname = canonicalHost(raw);
  const token = await findToken(control, tenant.id, hostname);
  if (token === undefined) throw hostNotFound();
  await requireProof(dns, hostname, token);

  const row = await control
    .selectFrom("control.hosts")
    .select("tenant_id")
    .where("hostname", "=", hostname)
    .executeTakeFirst();
  const holder = row?.tenant_id ?? undefined;
  if (holder !== undefined && holder !== tenant.id) {
    const theirs = await findToken(control, holder, hostname);
    if (theirs === undefined || (await isProven(dns, hostname, theirs))) throw hostTaken();
  }
  await control.transaction().execute(async (tx) => {
    if (holder !== tenant.id) {
      if (holder !== undefined) {
        // Its certificate is deleted with it.
        await tx
          .deleteFrom("control.hosts")
          .where("hostname", "=", hostname)
          .where("tenant_id", "=", holder)
          .execute();
        await claimOf(tx, holder, hostname).set({ proven_at: null }).execute();
      }
      // An unassigned host may still have a certificate of its former tenant, who has the key.
      await tx.deleteFrom("control.host_certificates").where("hostname", "=", hostname).execute();
      await claimHosts(tx, [hostname], { tenant, baseDomain: config.baseDomain });
    }
    await claimOf(tx, tenant.id, hostname).set({ proven_at: new Date() }).execute();
  });
  hosts.forget();
  return getHost(control, tenant, hostname);
}

/** Removes a host or the claim to one. @throws hostNotFound */
export async function releaseHost(
  { control, hosts }: Platform,
  tenant: Tenant,
  raw: string,
): Promise<void> {
  const hostname = canonicalHost(raw);
  const { numDeletedRows: claims } = await control
    .deleteFrom("control.host_claims")
    .where("tenant_id", "=", tenant.id)
    .where("hostname", "=", hostname)
    .executeTakeFirst();
  const mine = await hosts.list({ tenantId: tenant.id });
  const registered = mine.some((host) => host.hostname === hostname);
  if (registered) await hosts.unregister(hostname, { tenantId: tenant.id });
  else if (claims === 0n) throw hostNotFound();
}

/** Stores a host's TLS certificate. @throws hostNotFound, unfitCertificate */
export async function putCertificate(
  { control, certificates }: Platform,
  tenant: Tenant,
  raw: string,
  pair: CertificatePair,
): Promise<TenantHost> {
  const hostname = canonicalHost(raw);
  await control.transaction().execute(async (tx) => {
    // Lock the host, so that it stays the tenant's until the certificate is stored.
    const mine = await tx
      .selectFrom("control.hosts")
      .select("hostname")
      .where("hostname", "=", hostname)
      .where("tenant_id", "=", tenant.id)
      .forUpdate()
      .executeTakeFirst();
    if (!mine) throw hostNotFound();
    await certificates.put(hostname, pair, tx);
  });
  return getHost(control, tenant, hostname);
}

/** @throws hostNotFound if the tenant has no such host, or the host no certificate */
export async function removeCertificate(
  { control, certificates }: Platform,
  tenant: Tenant,
  raw: string,
): Promise<void> {
  const { hostname, certificate } = await getHost(control, tenant, raw);
  if (!certificate || !(await certificates.remove(hostname))) throw hostNotFound();
}

const claimOf = (tx: Kysely<ControlTables>, tenantId: Tenant["id"], hostname: string) =>
  tx
    .updateTable("control.host_claims")
    .where("tenant_id", "=", tenantId)
    .where("hostname", "=", hostname);

async function findToken(
  control: Kysely<ControlTables>,
  tenantId: Tenant["id"],
  hostname: string,
): Promise<string | undefined> {
  const row = await control
    .selectFrom("control.host_claims")
    .select("token")
    .where("tenant_id", "=", tenantId)
    .where("hostname", "=", hostname)
    .executeTakeFirst();
  return row?.token;
}
