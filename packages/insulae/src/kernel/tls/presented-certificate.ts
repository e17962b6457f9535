/**
 * The certificate that a caller shows, proven to be theirs: by the handshake, where the server ends
 * TLS itself, or on the word of a trusted proxy that did (`Client-Cert`, RFC 9440) and is known to let no
 * client write that header. Whose it is, and whether it counts, `client-certificates.ts` knows.
 */
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { LRUCache } from "lru-cache";
import { defineError } from "../lib/errors.ts";
import { canonicalHost } from "../net/hostname.ts";
import { fingerprintOf } from "./certificate-pair.ts";

export const invalidClientCertificate = defineError(
  "invalid_client_certificate",
  401,
  "The client certificate is not registered, has expired, or was removed. Ask an administrator to register a valid one.",
);

/** RFC 9110, section 15.5.20. */
export const misdirectedRequest = defineError(
  "misdirected_request",
  421,
  "The TLS connection was made for another host. Open a new connection for this host.",
);

export interface PresentedCertificate {
  readonly x509: X509Certificate;
  /** SHA-256, hexadecimal. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The part of a request that it takes. */
export interface CertificateSource {
  readonly host: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: Socket;
}

export type FindPresented = (request: CertificateSource) => PresentedCertificate | undefined;

/**
 * @param trusts whether an address is a trusted proxy's. From there the connection's own certificate is
 *   the proxy's, and does not count. From anywhere else the header counts for nothing.
 * @param believesHeader whether the proxies verify clients' certificates, and set the header. Most pass it
 *   on as a client wrote it; and a certificate is public.
 */
export function createFindPresented(
  trusts: (address: string) => boolean,
  believesHeader: boolean,
): FindPresented {
  const byConnection = new WeakMap<Socket, PresentedCertificate | null>();
  const byHeader = new LRUCache<string, PresentedCertificate>({ max: 1_000 });

  const inHeader = (header: string): PresentedCertificate => {
    const known = byHeader.get(header);
    if (known) return known;
    const presented = readHeader(header);
    byHeader.set(header, presented);
    return presented;
  };

  const ofConnection = (socket: TLSSocket): PresentedCertificate | null => {
    const known = byConnection.get(socket);
    if (known !== undefined) return known;
    const x509 = socket.getPeerX509Certificate();
    const presented = x509 ? detailsOf(x509) : null;
    byConnection.set(socket, presented);
    return presented;
  };

  return ({ host, headers, socket }) => {
    if (trusts(socket.remoteAddress ?? "")) {
      const header = believesHeader ? headers["client-cert"] : undefined;
      return header === undefined ? undefined : inHeader(String(header));
    }
    if (!(socket instanceof TLSSocket)) return undefined;
    const presented = ofConnection(socket) ?? undefined;
    // A proof that was made to one host is not to be used at another; one whose handshake named no host
    // (no SNI, or a session of TLS 1.2 that was resumed) was made to none.
    if (presented && !(socket.servername && isSameHost(socket.servername, host))) {
      throw misdirectedRequest();
    }
    return presented;
  };
}

const isSameHost = (servername: string, host: string): boolean =>
  canonicalHost(servername) === canonicalHost(host);

function detailsOf(x509: X509Certificate): PresentedCertificate {
  return {
    x509,
    fingerprint: fingerprintOf(x509),
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
  };
}

/** A byte sequence of RFC 8941: the certificate's DER in base64, between colons. */
function readHeader(header: string): PresentedCertificate {
  const der = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(header)?.[1];
  if (der === undefined) throw invalidClientCertificate();
  try {
    return detailsOf(new X509Certificate(Buffer.from(der, "base64")));
  } catch (cause) {
    throw invalidClientCertificate({ cause });
  }
}
