import { isIP } from "node:net";
import { domainToASCII, domainToUnicode } from "node:url";
import { defineError } from "../lib/errors.ts";

export const invalidHost = defineError(
  "invalid_host",
  400,
  "The host name is invalid. Use letters, digits, hyphens and underscores in labels separated by dots, such as shop.example.com, without scheme, path or wildcard.",
);

/**
 * The canonical form of a host name: lower case, punycode, without port and trailing dot.
 *
 * @param raw a Host header, or a host name to register
 * @param detail for the error: where the name comes from, if not from a field or parameter of the
 * request
 * @returns the name, or an IP address unchanged
 * @throws invalidHost
 * @example canonicalHost("ACME.Example.COM.:8000") === "acme.example.com"
 */
export function canonicalHost(raw: string, detail?: string): string {
  const refusal = () => invalidHost(detail === undefined ? {} : { detail });
  if (raw.length > 261) throw refusal();
  const match = /^(\[[0-9a-f:.]+\]|[^\s@:/\\?#%[\]]+)(?::(\d{1,5}))?$/i.exec(raw);
  const name = match?.[1]?.replace(/^\[|\]$/g, "");
  if (!name || Number(match?.[2] ?? 0) > 65_535) throw refusal();
  if (isIP(name)) return name;
  const ascii = domainToASCII(name.replace(/\.$/, ""));
  if (!hasLabels(ascii, hostLabel)) throw refusal();
  return ascii;
}

/** The error's detail if the name is from the request's Host header. */
export const badHostHeader = "The Host header is not a host name";

/** `_` occurs in DNS names, but not in e-mail domains. */
const hostLabel = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$/;
const domainLabel = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const hasLabels = (ascii: string, label: RegExp): boolean =>
  ascii.length <= 253 &&
  ascii.split(".").every((text) => text.length <= 63 && label.test(text) && isReadable(text));

/** Rejects punycode that decodes to nothing, such as `xn--a`: Node's `domainToASCII` accepts it. */
const isReadable = (label: string): boolean =>
  !label.startsWith("xn--") || domainToUnicode(label) !== label;

/**
 * Whether it is an ASCII domain of letters, digits and hyphens (RFC 1123, 2.1), and not an IP
 * address.
 */
export const isDomain = (ascii: string): boolean =>
  hasLabels(ascii, domainLabel) && !/(^|\.)\d+$/.test(ascii);
