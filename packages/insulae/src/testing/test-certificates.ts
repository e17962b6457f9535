/** P-256 certificates for tests, issued by an authority or self-signed. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { CertificatePair } from "../kernel/tls/certificate-pair.ts";

export interface TestCertificate extends CertificatePair {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface TestCertificateOptions {
  /** The host names that it covers. */
  readonly hosts?: readonly string[];
  /** Default `CN=test`. */
  readonly subject?: string;
  readonly issuer?: TestCertificate;
  readonly authority?: boolean;
  readonly usage?: "client" | "server";
  /** Validity in days from now; default: from yesterday to tomorrow. */
  readonly from?: number;
  readonly to?: number;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const day = 86_400_000;

export async function makeCertificate(
  options: TestCertificateOptions = {},
): Promise<TestCertificate> {
  const { hosts = [], subject = "CN=test", issuer, authority, usage, from = -1, to = 1 } = options;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const extensions: Extension[] = [];
  if (hosts.length > 0) {
    const names = hosts.map((value) => ({ type: "dns" as const, value }));
    extensions.push(new SubjectAlternativeNameExtension(names));
  }
  if (authority) extensions.push(new BasicConstraintsExtension(true, undefined, true));
  if (usage) {
    const purpose = ExtendedKeyUsage[usage === "client" ? "clientAuth" : "serverAuth"];
    extensions.push(new ExtendedKeyUsageExtension([purpose]));
  }
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    notBefore: new Date(Date.now() + from * day),
    notAfter: new Date(Date.now() + to * day),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: algorithm,
    extensions,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate,
    keys,
    cert: certificate.toString("pem"),
    key: PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}
