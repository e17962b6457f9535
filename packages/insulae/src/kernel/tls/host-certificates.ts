/**
 * Hosts' certificates: uploaded at run time, stored in the control plane (the private key
 * encrypted), selected by the name that the TLS client requests (SNI), and cached by each node.
 *
 * A host's certificate belongs to its row in `control.hosts` and is deleted with it. Changes are
 * announced; new connections use the new certificate, open ones keep theirs.
 */
import type { SecureContext } from "node:tls";
import type { Kysely } from "kysely";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import {
  type CertificateFacts,
  type CertificatePair,
  contextOf,
  inspectPair,
  soon,
} from "./certificate-pair.ts";

export interface HostCertificates {
  /** Sets or replaces a host's certificate. @throws unfitCertificate */
  put(
    hostname: string,
    pair: CertificatePair,
    transaction?: Kysely<ControlTables>,
  ): Promise<CertificateFacts>;
  remove(hostname: string): Promise<boolean>;
  /** The TLS context for the host; undefined if it has no certificate. */
  contextFor(hostname: string): MaybePromise<SecureContext | undefined>;
  /** Certificates that expire within three weeks, or have expired. */
  endingSoon(): Promise<readonly { hostname: string; notAfter: Date }[]>;
}

export interface HostCertificatesOptions {
  readonly control: Kysely<ControlTables>;
  readonly secrets: Secrets;
  readonly follow: FollowAnnouncements;
}

/** Binds a key to its host, so that it is useless for another. */
const purposeOf = (hostname: string) => `host-certificate:${hostname}`;

export function createHostCertificates(options: HostCertificatesOptions): HostCertificates {
  const { control, secrets, follow } = options;
  // A context takes some 50 kB.
  const contexts = createLoadingCache<SecureContext>({
    max: 2_000,
    ttlMs: 60_000,
    follow: ({ forget, clear }) => follow({ host_certificate: forget, anything: clear }),
  });

  const load = async (hostname: string): Promise<SecureContext | undefined> => {
    const row = await control
      .selectFrom("control.host_certificates")
      .select(["certificate", "sealed_key"])
      .where("hostname", "=", hostname)
      .executeTakeFirst();
    if (!row) return undefined;
    const key = secrets.open(purposeOf(hostname), row.sealed_key);
    return contextOf({ cert: row.certificate, key });
  };

  return {
    async put(hostname, pair, transaction = control) {
      const details = inspectPair(pair, hostname);
      const values = {
        certificate: pair.cert,
        sealed_key: secrets.seal(purposeOf(hostname), pair.key),
        fingerprint: details.fingerprint,
        not_after: details.notAfter,
      };
      await transaction
        .insertInto("control.host_certificates")
        .values({ hostname, ...values })
        .onConflict((conflict) => conflict.column("hostname").doUpdateSet(values))
        .execute();
      contexts.forget(hostname);
      return details;
    },
    async remove(hostname) {
      const { numDeletedRows } = await control
        .deleteFrom("control.host_certificates")
        .where("hostname", "=", hostname)
        .executeTakeFirst();
      contexts.forget(hostname);
      return numDeletedRows > 0n;
    },
    contextFor: (hostname) => contexts.find(hostname, () => load(hostname)),
    async endingSoon() {
      const rows = await control
        .selectFrom("control.host_certificates")
        .select(["hostname", "not_after"])
        .where("not_after", "<", soon())
        .orderBy("not_after")
        .execute();
      return rows.map((row) => ({ hostname: row.hostname, notAfter: row.not_after }));
    },
  };
}
