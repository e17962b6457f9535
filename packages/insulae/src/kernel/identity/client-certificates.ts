/**
 * Finds which tenants a client certificate is registered for: the certificate itself, by its
 * fingerprint, or the authority that issued it. Several tenants may register the same one (a
 * certificate is no secret), so a certificate only proves that its holder may belong to one of
 * *these* tenants. Host, token or header select one; the certificate alone does if there is only
 * one.
 *
 * Results are cached by fingerprint, so a request on an open connection waits for nothing, yet is
 * checked each time: a removal takes effect once its announcement arrives.
 *
 * Anybody can make certificates whose issuer has the name of many authorities. So only a few
 * signatures are checked per certificate: first those of the tenant that host or header name, then
 * the oldest.
 */
import { X509Certificate } from "node:crypto";
import { type Kysely, sql } from "kysely";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { TenantId, UserId } from "../lib/ids.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import { chain, type MaybePromise } from "../lib/maybe-promise.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { PresentedCertificate } from "../tls/presented-certificate.ts";
import type { Proof } from "./authentication.ts";
import type { Authority } from "./authority.ts";

/** A registration that a presented certificate matches. */
export interface Registration {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly tenantKey: string;
  /** The user its holder acts as; undefined: it only identifies the tenant. */
  readonly userId: UserId | undefined;
  readonly scopes: readonly string[];
  /** The registered certificate's expiry, in milliseconds since 1970. */
  readonly notAfter: number;
}

export interface ClientCertificates {
  /**
   * The current registrations of a certificate; empty: it proves nothing.
   *
   * @param named the tenant that host or header name, whose authorities are tried first
   */
  find(
    presented: PresentedCertificate,
    named?: TenantId | undefined,
  ): MaybePromise<readonly Registration[]>;
  /** What the registration proves about the caller, if it is for acting as a user. */
  proofOf(registration: Registration): Proof | undefined;
  forgetAll(): void;
}

export interface ClientCertificatesOptions {
  readonly control: Kysely<ControlTables>;
  readonly authority: Pick<Authority, "findUser">;
  readonly follow: FollowAnnouncements;
}

export function createClientCertificates(options: ClientCertificatesOptions): ClientCertificates {
  const { control, authority, follow } = options;
  const answers = createLoadingCache<readonly Registration[]>({
    max: 20_000,
    ttlMs: 60_000,
    follow: ({ clear }) => follow({ client_certificate: clear, anything: clear }),
  });
  return {
    find(presented, named) {
      const now = Date.now();
      if (presented.notBefore > now || presented.notAfter <= now) return none;
      return chain(
        answers.find(`${presented.fingerprint} ${named ?? ""}`, () =>
          load(control, presented, named),
        ),
        (found = none) =>
          found.every(({ notAfter }) => notAfter > now)
            ? found
            : found.filter(({ notAfter }) => notAfter > now),
      );
    },
    proofOf({ id, tenantId, userId, scopes }) {
      if (userId === undefined) return undefined;
      return {
        credential: { kind: "certificate", certificateId: id },
        tenantId,
        subject: userId,
        findPrincipal: (tenant) =>
          tenant &&
          chain(
            authority.findUser(tenant, userId),
            (user) =>
              user && {
                ...user,
                permissions: new Set(scopes.filter((scope) => user.permissions.has(scope))),
              },
          ),
      };
    },
    forgetAll: answers.clear,
  };
}

const none: readonly Registration[] = [];

/**
 * The maximum of authorities with the issuer's name that are read, and of signatures that are
 * checked.
 */
const mostAuthorities = 32;
const mostSignatures = 8;

async function load(
  control: Kysely<ControlTables>,
  { x509, fingerprint }: PresentedCertificate,
  named: TenantId | undefined,
): Promise<readonly Registration[]> {
  const rows = await control
    .selectFrom("control.client_certificates as c")
    .innerJoin("control.tenants as t", "t.id", "c.tenant_id")
    .select(["c.id", "c.tenant_id", "t.key", "c.kind", "c.certificate", "c.required_subject"])
    .select(["c.fingerprint", "c.user_id", "c.scopes", "c.not_after"])
    .where((eb) =>
      eb.or([
        eb.and([eb("c.kind", "=", "certificate"), eb("c.fingerprint", "=", fingerprint)]),
        eb.and([
          ...[eb("c.kind", "=", "authority"), eb("c.subject", "=", x509.issuer)],
          eb("c.fingerprint", "in", issuersOf(control, x509.issuer, named)),
        ]),
      ]),
    )
    .where("t.status", "<>", "deleted")
    // A certificate's own registration comes before its authority's.
    .orderBy("c.kind", "desc")
    .orderBy(sql`c.tenant_id is not distinct from ${named ?? null}`, "desc")
    .orderBy("c.id")
    .execute();
  const isIssuedBy = checkIssuers(x509);
  return rows
    .filter(
      (row) =>
        row.kind === "certificate" ||
        isIssuedBy(row.fingerprint, row.certificate, row.required_subject),
    )
    .map((row) => ({
      id: row.id,
      tenantId: row.tenant_id,
      tenantKey: row.key,
      userId: row.scopes.length > 0 ? (row.user_id ?? undefined) : undefined,
      scopes: row.scopes,
      notAfter: row.not_after.getTime(),
    }));
}

const forClients = ["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"];

/** The fingerprints of authorities with that name. */
const issuersOf = (control: Kysely<ControlTables>, name: string, named: TenantId | undefined) =>
  control
    .selectFrom("control.client_certificates as a")
    .innerJoin("control.tenants as of", "of.id", "a.tenant_id")
    .select("a.fingerprint")
    .where("a.kind", "=", "authority")
    .where("a.subject", "=", name)
    .where("of.status", "<>", "deleted")
    .groupBy("a.fingerprint")
    .orderBy(sql`bool_or(a.tenant_id is not distinct from ${named ?? null})`, "desc")
    .orderBy(sql`min(a.created_at)`)
    .limit(mostAuthorities);

/**
 * @returns a function that tells whether an authority directly issued the certificate, as a client
 * certificate with the required subject
 */
function checkIssuers(x509: X509Certificate) {
  const subject = new Set(x509.subject.split("\n"));
  const usages: readonly string[] | undefined = x509.keyUsage;
  const isForClients =
    !x509.ca && (usages === undefined || usages.some((usage) => forClients.includes(usage)));
  // Several tenants may have registered the same authority.
  const verdicts = new Map<string, boolean>();
  let signatures = 0;
  const isSignedBy = (pem: string): boolean => {
    const authority = new X509Certificate(pem);
    // Names and key identifiers first: comparing them is cheap.
    if (!x509.checkIssued(authority) || signatures >= mostSignatures) return false;
    signatures += 1;
    return x509.verify(authority.publicKey);
  };
  return (fingerprint: string, pem: string, required: readonly string[]): boolean => {
    if (!isForClients || !required.every((attribute) => subject.has(attribute))) return false;
    const verdict = verdicts.get(fingerprint) ?? isSignedBy(pem);
    verdicts.set(fingerprint, verdict);
    return verdict;
  };
}
