/**
 * Which certificate a TLS connection gets. The client says in its first message which host it wants
 * (SNI, RFC 6066); a host with a certificate of its own gets that one, everything else the server's
 * own (`TLS_CERT_FILE`, `TLS_KEY_FILE`). Without one, the handshake ends with an alert.
 */
import { readFile } from "node:fs/promises";
import type { SecureContext } from "node:tls";
import { chain } from "../lib/maybe-promise.ts";
import { canonicalHost } from "../net/hostname.ts";
import type { Logger } from "../telemetry/log.ts";
import { type CertificateFacts, type CertificatePair, inspectPair } from "./certificate-pair.ts";
import type { HostCertificates } from "./host-certificates.ts";

/** As `https.createServer` takes it. */
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

/** What a client asks for may be anything. */
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
 * @throws Error that names the file that can't be read; unfitCertificate
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
