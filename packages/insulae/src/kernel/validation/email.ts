import { domainToASCII } from "node:url";
import { defineError } from "../lib/errors.ts";
import { normalised } from "../lib/text.ts";
import { isDomain } from "../net/hostname.ts";

export const invalidEmail = defineError(
  "invalid_email",
  400,
  "The e-mail address is invalid. Use the form name@example.com.",
);

// The part of RFC 5321 and 6531 that mailers agree on: letters of any script, but no quotes,
// comments, address literals or white space (`"x@evil y"@corp` is read differently by different
// mailers).
const localPart =
  /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
// Characters that parsing the host as part of a URL would drop or decode, yielding a different
// domain.
const otherThanHost = /[\s\p{Cc}/\\?#:%@]/u;

/**
 * The canonical form of an e-mail address, in which it is stored, compared and unique: trimmed,
 * NFKC, lower case, domain in ASCII (IDNA). Lengths are limited in bytes, as in SMTP (RFC 5321,
 * 4.5.3.1).
 *
 * @returns undefined if it is not an address that we would write to
 * @example canonicalEmail(" Ａnna@Exämple.org ") === "anna@xn--exmple-cua.org"
 */
export function findCanonicalEmail(input: string): string | undefined {
  if (input.length > 320) return undefined;
  // Lower-casing can decompose (İ becomes i and a dot), so normalise again.
  const email = normalised(normalised(input.trim()).toLowerCase());
  const at = email.lastIndexOf("@");
  const local = email.slice(0, at);
  const typed = email.slice(at + 1);
  if (
    at < 1 ||
    Buffer.byteLength(local) > 64 ||
    !localPart.test(local) ||
    otherThanHost.test(typed)
  ) {
    return undefined;
  }
  const host = domainToASCII(typed);
  if (!isDomain(host)) return undefined;
  const canonical = `${local}@${host}`;
  return Buffer.byteLength(canonical) <= 254 ? canonical : undefined;
}

/** The same. @throws invalidEmail */
export function canonicalEmail(input: string): string {
  const email = findCanonicalEmail(input);
  if (email) return email;
  throw invalidEmail({ errors: [{ pointer: "/body/email", message: invalidEmail.title }] });
}
