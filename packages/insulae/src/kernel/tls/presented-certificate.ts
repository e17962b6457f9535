/**
 * The certificate that a client presents, with proof of possession: by the handshake if this server
 * terminates TLS, or by the assertion of a trusted proxy (`Client-Cert`, RFC 9440) that is known to
 * overwrite clients' headers. `client-certificates.ts` decides what it means.
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

/** The part of a request that this reads. */
export interface CertificateSource {
  readonly host: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: Socket;
}

export type FindPresented = (request: CertificateSource) => PresentedCertificate | undefined;

/**
 * @param trusts whether an address is a trusted proxy's. For proxies, the connection's own
 * certificate is ignored; for others, the header
 * @param believesHeader whether the proxies verify clients' certificates and set the header. Most
 * proxies forward a client's own header, and certificates are public
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
    // A proof made to one host must not be used at another. A handshake that named no host (no SNI,
    // or a resumed TLS 1.2 session) counts for none.
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

/** Parses an RFC 8941 byte sequence: the DER certificate in base64, between colons. */
function readHeader(header: string): PresentedCertificate {
  const der = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(header)?.[1];
  if (der === undefined) throw invalidClientCertificate();
  try {
    return detailsOf(new X509Certificate(Buffer.from(der, "base64")));
  } catch (cause) {
    throw invalidClientCertificate({ cause });
  }
}
