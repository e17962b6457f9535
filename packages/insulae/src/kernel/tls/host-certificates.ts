/**
 * The certificates of hosts: given at run time, kept in the control plane (the private key sealed),
 * chosen by the name that a TLS client asks for (SNI), each node from its own cache.
 *
 * A host's certificate goes with its row in `control.hosts`: where the host is taken from a tenant,
 * its certificate goes too. Every change is announced; a new connection has the new certificate,
 * connections that are open keep theirs.
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
  /** Gives a host its certificate, in place of the one it has. @throws unfitCertificate */
  put(
    hostname: string,
    pair: CertificatePair,
    transaction?: Kysely<ControlTables>,
  ): Promise<CertificateFacts>;
  remove(hostname: string): Promise<boolean>;
  /** What a connection to the host is to be encrypted with; undefined where the host has none. */
  contextFor(hostname: string): MaybePromise<SecureContext | undefined>;
  /** Certificates that end within three weeks, or have ended. */
  endingSoon(): Promise<readonly { hostname: string; notAfter: Date }[]>;
}

export interface HostCertificatesOptions {
  readonly control: Kysely<ControlTables>;
  readonly secrets: Secrets;
  readonly follow: FollowAnnouncements;
}

/** A key is sealed for its host, so that it can't be put in another host's place. */
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
