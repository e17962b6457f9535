import { domainToASCII } from "node:url";
import { defineError } from "../lib/errors.ts";
import { normalised } from "../lib/text.ts";
import { isDomain } from "../net/hostname.ts";

export const invalidEmail = defineError(
  "invalid_email",
  400,
  "This is not an e-mail address. Use the form name@example.com.",
);

// Of RFC 5321 and 6531: letters of any script, no quotes, comments, address literals or white space
// (`"x@evil y"@corp` is read differently by different mailers).
const localPart =
  /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
// What reading a host as part of a URL would leave out or decode, and so make another domain of it.
const otherThanHost = /[\s\p{Cc}/\\?#:%@]/u;

/**
 * The one form of an e-mail address, by which it is stored, compared and unique: trimmed, NFKC,
 * lower case, its domain in ASCII (IDNA). Its lengths are in bytes, as SMTP counts (RFC 5321, 4.5.3.1).
 *
 * @returns undefined if it is not an address that we would write to.
 * @example canonicalEmail(" Ａnna@Exämple.org ") === "anna@xn--exmple-cua.org"
 */
export function findCanonicalEmail(input: string): string | undefined {
  if (input.length > 320) return undefined;
  // Lower case can undo composition (İ becomes i and a dot), so it is composed once more.
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

/** As `findCanonicalEmail`. @throws invalidEmail */
export function canonicalEmail(input: string): string {
  const email = findCanonicalEmail(input);
  if (email) return email;
  throw invalidEmail({ errors: [{ pointer: "/body/email", message: invalidEmail.title }] });
}
