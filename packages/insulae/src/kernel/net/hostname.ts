import { isIP } from "node:net";
import { domainToASCII, domainToUnicode } from "node:url";
import { defineError } from "../lib/errors.ts";

export const invalidHost = defineError(
  "invalid_host",
  400,
  "The host name is invalid. Use letters, digits, hyphens and underscores in labels separated by dots, such as shop.example.com, without scheme, path or wildcard.",
);

/**
 * The one form of a host name: lower case, punycode, without port and trailing dot.
 *
 * @param raw a Host header or a host name somebody registers.
 * @param detail of the error: where the name comes from, if no field or parameter of the request gave it.
 * @returns the name, or an IP address as it is written.
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

/** What the error says where the name is that of the request. */
export const badHostHeader = "The Host header is not a host name";

/** `_` is in names that DNS answers for and mail doesn't go to. */
const hostLabel = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$/;
const domainLabel = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const hasLabels = (ascii: string, label: RegExp): boolean =>
  ascii.length <= 253 &&
  ascii.split(".").every((text) => text.length <= 63 && label.test(text) && isReadable(text));

/** `xn--a` stands for nothing: Node's `domainToASCII` lets it through. */
const isReadable = (label: string): boolean =>
  !label.startsWith("xn--") || domainToUnicode(label) !== label;

/** Whether it is a domain in ASCII, of letters, digits and hyphens (RFC 1123, 2.1), and no IP address. */
export const isDomain = (ascii: string): boolean =>
  hasLabels(ascii, domainLabel) && !/(^|\.)\d+$/.test(ascii);
