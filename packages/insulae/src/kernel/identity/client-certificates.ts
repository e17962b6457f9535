/**
 * Which tenants a client certificate is registered for: it itself, by its fingerprint, or the
 * authority that issued it. A tenant registers what it likes, and so may two the same (a certificate
 * is no secret): what a certificate proves is only ever that its holder may be of one of *these*
 * tenants. Which one it is, host, token or header say; a certificate says it alone where there is
 * only one.
 *
 * Answers are cached by fingerprint, so that a request over an open connection waits for nothing and
 * yet asks each time: what is removed counts no more once the announcement is heard.
 *
 * A stranger makes certificates for nothing, of an issuer's name that many authorities may have. So few
 * signatures are checked for one: those of the tenant that host or header name, then the oldest.
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

/** A registration that a presented certificate meets. */
export interface Registration {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly tenantKey: string;
  /** As whom its holder acts; undefined: it names the tenant and nothing else. */
  readonly userId: UserId | undefined;
  readonly scopes: readonly string[];
  /** When the registered certificate ends, in milliseconds since 1970. */
  readonly notAfter: number;
}

export interface ClientCertificates {
  /**
   * The registrations that it meets at this moment; none: it proves nothing.
   *
   * @param named the tenant that host or header name, whose authorities are tried first.
   */
  find(
    presented: PresentedCertificate,
    named?: TenantId | undefined,
  ): MaybePromise<readonly Registration[]>;
  /** What the registration proves of who calls, if it is for acting. */
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

/** So many authorities of the issuer's name are read, and so many of them have their signature checked. */
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
    // A certificate's own registration before its authority's.
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

/** The fingerprints of authorities of that name. */
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

/** @returns whether an authority itself signed it, for clients, to a subject with all that is required. */
function checkIssuers(x509: X509Certificate) {
  const subject = new Set(x509.subject.split("\n"));
  const usages: readonly string[] | undefined = x509.keyUsage;
  const isForClients =
    !x509.ca && (usages === undefined || usages.some((usage) => forClients.includes(usage)));
  // Many tenants may have registered the same authority.
  const verdicts = new Map<string, boolean>();
  let signatures = 0;
  const isSignedBy = (pem: string): boolean => {
    const authority = new X509Certificate(pem);
    // Names and key identifiers first, which cost nothing.
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
