import { domainToASCII } from "node:url";
import { defineError } from "../errors.ts";

export const invalidEmail = defineError("invalid_email", 400, "This is not an e-mail address");

// Of RFC 5321 and 6531: letters of any script, no quotes, comments, address literals or white space
// (`"x@evil y"@corp` is read differently by different mailers).
const localPart =
  /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
// Labels of letters, digits and hyphens, the last one not a number: that would be an IP address.
const domain =
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

// What reading a host as part of a URL would leave out or decode, and so make another domain of it.
const otherThanHost = /[\s\p{Cc}/\\?#:%@]/u;

/**
 * The one form of an e-mail address, by which it is stored, compared and unique: trimmed, NFKC,
 * lower case, its domain in ASCII (IDNA).
 *
 * @returns undefined if it is not an address that we would write to.
 * @example canonicalEmail(" Ａnna@Exämple.org ") === "anna@xn--exmple-cua.org"
 */
export function findCanonicalEmail(input: string): string | undefined {
  if (input.length > 320) return undefined;
  // Lower case can undo composition (İ becomes i and a dot), so it is composed once more.
  const email = input.trim().normalize("NFKC").toLowerCase().normalize("NFKC");
  const at = email.lastIndexOf("@");
  const local = email.slice(0, at);
  const typed = email.slice(at + 1);
  if (at < 1 || local.length > 64 || !localPart.test(local) || otherThanHost.test(typed)) {
    return undefined;
  }
  const host = domainToASCII(typed);
  if (!domain.test(host)) return undefined;
  const canonical = `${local}@${host}`;
  return canonical.length <= 254 ? canonical : undefined;
}

/** As `findCanonicalEmail`. @throws invalidEmail */
export function canonicalEmail(input: string): string {
  const email = findCanonicalEmail(input);
  if (email) return email;
  throw invalidEmail({ errors: [{ pointer: "/body/email", message: invalidEmail.title }] });
}
