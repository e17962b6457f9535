/**
 * Selects the certificate of a TLS connection by the host that the client requests (SNI, RFC 6066):
 * the host's own, otherwise the server's (`TLS_CERT_FILE`, `TLS_KEY_FILE`). Without either, the
 * handshake fails with an alert.
 */
import { readFile } from "node:fs/promises";
import type { SecureContext } from "node:tls";
import { chain } from "../lib/maybe-promise.ts";
import { canonicalHost } from "../net/hostname.ts";
import type { Logger } from "../telemetry/log.ts";
import { type CertificateFacts, type CertificatePair, inspectPair } from "./certificate-pair.ts";
import type { HostCertificates } from "./host-certificates.ts";

/** As for `https.createServer`. */
export type SniCallback = (
  name: string,
  done: (error: Error | null, context?: SecureContext) => void,
) => void;

export function createSniCallback(
  { contextFor }: Pick<HostCertificates, "contextFor">,
  log: Logger,
): SniCallback {
  return (name, done) => {
    const failed = (error: unknown): void => {
      log.error({ err: error, host: name }, "A host's certificate could not be loaded");
      done(error instanceof Error ? error : new Error(String(error)));
    };
    const host = hostOf(name);
    if (host === undefined) return done(null);
    try {
      const found = chain(contextFor(host), (context) => done(null, context));
      if (found instanceof Promise) found.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}

/** The requested name is arbitrary client input. */
function hostOf(name: string): string | undefined {
  try {
    return canonicalHost(name);
  } catch {
    return undefined;
  }
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * The server's own certificate.
 *
 * @throws Error that names an unreadable file; unfitCertificate
 */
export async function readPair(
  files: CertificateFiles,
): Promise<CertificatePair & CertificateFacts> {
  const [cert, key] = await Promise.all([
    readFile(files.certFile, "utf8"),
    readFile(files.keyFile, "utf8"),
  ]);
  return { cert, key, ...inspectPair({ cert, key }) };
}
