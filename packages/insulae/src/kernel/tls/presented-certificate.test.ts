import { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { makeCertificate } from "../../testing/test-certificates.ts";
import { createFindPresented, misdirectedRequest } from "./presented-certificate.ts";

let x509: X509Certificate;
beforeAll(async () => {
  x509 = new X509Certificate((await makeCertificate()).cert);
});

/**
 * The server's side of a connection whose client presented the certificate, and named a host or
 * none.
 */
const connectionTo = (servername: string | false): TLSSocket =>
  Object.create(TLSSocket.prototype, {
    getPeerX509Certificate: { value: () => x509 },
    remoteAddress: { value: "203.0.113.7" },
    servername: { value: servername },
  });

const outcome = (servername: string | false, host: string): string => {
  const find = createFindPresented(() => false, false);
  try {
    return find({ host, headers: {}, socket: connectionTo(servername) }) ? "found" : "none";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "another error";
  }
};

test("a certificate is accepted only at the host that its handshake named", () => {
  const refused = misdirectedRequest().code;
  expect(outcome("acme.example", "acme.example:8443")).toBe("found");
  expect(outcome("acme.example", "globex.example")).toBe(refused);
  // No SNI, or a resumed TLS 1.2 session: the proof was made to no particular host.
  expect(outcome(false, "acme.example")).toBe(refused);
});
