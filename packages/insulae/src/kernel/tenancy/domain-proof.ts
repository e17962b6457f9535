/**
 * Proves that a tenant controls a domain by a TXT record in its DNS. Each claim has a token of its
 * own, so one tenant's record proves nothing for another.
 */
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { domainToUnicode } from "node:url";
import { type AppError, defineError } from "../lib/errors.ts";
import type { Dns } from "../net/dns.ts";
import { canonicalHost } from "../net/hostname.ts";

export const domainNotProven = defineError(
  "domain_not_proven",
  409,
  "The DNS record that proves this domain was not found. Publish it, then try again.",
);
export const invalidDomain = defineError(
  "invalid_domain",
  400,
  "This is not a public domain name. Use a name such as shop.example.com.",
);

/** The record that the tenant has to publish. */
export interface ProofRecord {
  readonly name: string;
  readonly type: "TXT";
  readonly value: string;
}

export const newProofToken = (): string => randomBytes(20).toString("base64url");

export const proofRecord = (domain: string, token: string): ProofRecord => ({
  name: `_insulae.${domain}`,
  type: "TXT",
  value: `insulae-verification=${token}`,
});

/** Whether the record is published now. @throws dnsUnavailable */
export async function isProven(dns: Dns, domain: string, token: string): Promise<boolean> {
  const { name, value } = proofRecord(domain, token);
  const records = await dns.txt(name);
  return records.some((record) => record.trim() === value);
}

/** @throws domainNotProven, naming the missing record */
export async function requireProof(dns: Dns, domain: string, token: string): Promise<void> {
  if (!(await isProven(dns, domain, token))) throw notProven(domain, token);
}

export function notProven(domain: string, token: string): AppError {
  const { name, value } = proofRecord(domain, token);
  return domainNotProven({
    detail: `Publish a TXT record ${name} with the value ${value}, then try again.`,
  });
}

/**
 * Suffixes that the public DNS does not resolve (RFC 6761, RFC 6762, RFC 8375, and common
 * practice).
 */
const privateSuffixes = new Set([
  "localhost",
  "local",
  "internal",
  "invalid",
  "onion",
  "arpa",
  "lan",
  "home",
  "corp",
]);

/**
 * The canonical form of a claimed domain.
 *
 * @throws invalidDomain for an IP address, a name without a dot, or one that is not in the public
 * DNS
 */
export function claimableDomain(raw: string): string {
  const domain = canonicalHost(raw);
  const labels = domain.split(".");
  const last = labels.at(-1) ?? "";
  if (isIP(domain) || labels.length < 2 || privateSuffixes.has(last) || /^\d/.test(last)) {
    throw invalidDomain();
  }
  // Leave room for the record's own label in front, and reject invalid punycode.
  if (domain.length > 240 || domainToUnicode(domain) === "") throw invalidDomain();
  return domain;
}
