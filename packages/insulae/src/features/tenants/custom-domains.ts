/**
 * A tenant's own hosts. Whoever administers the platform gives a host to a tenant at once; an owner
 * claims one, and it is routed when the DNS shows the claim's record.
 *
 * claim → pending → (the record is seen) → active
 *
 * A claim takes nothing from anybody: there may be many of one name, and whoever runs the DNS wins.
 * A host that another tenant has proven stays there for as long as its record does; without it, the
 * one who has the record now is the owner (a domain that was sold). A host that the platform gave
 * away is not taken by any proof.
 */
import type { Kysely } from "kysely";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
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
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
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
  /** What to publish; null for a host that the platform gave. */
  readonly verification: ProofRecord | null;
  readonly certificate: { readonly fingerprint: string; readonly expires_at: string } | null;
}

/** The hosts that a tenant has or claims, by name. */
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
 * Notes that a tenant says a host is its own, and makes the record that proves it.
 *
 * @throws hostTaken if it is the tenant's already; reservedHost, invalidDomain, tooManyHosts
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
 * Looks for the claim's record, and gives the host to the tenant if it is there.
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
        // Its certificate goes with it.
        await tx
          .deleteFrom("control.hosts")
          .where("hostname", "=", hostname)
          .where("tenant_id", "=", holder)
          .execute();
        await claimOf(tx, holder, hostname).set({ proven_at: null }).execute();
      }
      // A free host may be left of another tenant, who has the key.
      await tx.deleteFrom("control.host_certificates").where("hostname", "=", hostname).execute();
      await claimHosts(tx, [hostname], { tenant, baseDomain: config.baseDomain });
    }
    await claimOf(tx, tenant.id, hostname).set({ proven_at: new Date() }).execute();
  });
  hosts.forget();
  return getHost(control, tenant, hostname);
}

/** Gives up a host, or the claim to one. @throws hostNotFound */
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

/** Gives a host its certificate. @throws hostNotFound, unfitCertificate */
export async function putCertificate(
  { control, certificates }: Platform,
  tenant: Tenant,
  raw: string,
  pair: CertificatePair,
): Promise<TenantHost> {
  const hostname = canonicalHost(raw);
  await control.transaction().execute(async (tx) => {
    // It stays the tenant's until the certificate is written.
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
