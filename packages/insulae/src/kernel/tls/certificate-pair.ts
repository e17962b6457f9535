import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { defineError } from "../lib/errors.ts";

export const unfitCertificate = defineError(
  "unfit_certificate",
  400,
  "This certificate cannot be used",
);

/** A host's certificate with its chain, and its private key, as PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFacts {
  /** SHA-256, in lower-case hexadecimal without colons. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

const day = 86_400_000;

/** Certificates that expire before this time are reported (three weeks). */
export const soon = (): Date => new Date(Date.now() + 21 * day);

/** As stored and compared: 64 hexadecimal digits. */
export const fingerprintOf = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(":", "").toLowerCase();

/**
 * Checks that certificate and key match, and that the certificate is currently valid for the host.
 *
 * @param hostname canonical; absent: any host, as for the server's own certificate
 * @throws unfitCertificate with the reason
 */
export function inspectPair(pair: CertificatePair, hostname?: string): CertificateFacts {
  const certificate = parse("certificate", () => new X509Certificate(pair.cert));
  const key: KeyObject = parse("private key", () => createPrivateKey(pair.key));
  const now = Date.now();
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (!certificate.checkPrivateKey(key))
    throw unfit("The private key does not belong to the certificate.");
  if (!(from <= now)) throw unfit("The certificate is not valid yet.");
  if (!(to > now)) throw unfit("The certificate has expired.");
  if (hostname !== undefined && !certificate.checkHost(hostname, { subject: "never" })) {
    throw unfit("The certificate does not name the host as a subject alternative name.");
  }
  // OpenSSL has the last word: keys that are too short, invalid chains.
  parse("certificate", () => contextOf(pair));
  return { fingerprint: fingerprintOf(certificate), notAfter: new Date(to) };
}

/** The TLS context of a pair. */
export const contextOf = ({ cert, key }: CertificatePair): SecureContext =>
  createSecureContext({ cert, key, minVersion: "TLSv1.2" });

const unfit = (detail: string) => unfitCertificate({ detail });

function parse<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unfitCertificate({ detail: `The ${what} cannot be read as PEM.`, cause });
  }
}
