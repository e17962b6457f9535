import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { defineError } from "../errors.ts";

export const invalidHost = defineError("invalid_host", 400, "The Host header is not a host name");

/**
 * The one form of a host name: lower case, punycode, without port and trailing dot.
 *
 * @param raw a Host header or a host name somebody registers.
 * @returns the name, or an IP address as it is written.
 * @throws invalidHost
 * @example canonicalHost("ACME.Example.COM.:8000") === "acme.example.com"
 */
export function canonicalHost(raw: string): string {
  if (raw.length > 261) throw invalidHost();
  const match = /^(\[[0-9a-f:.]+\]|[^\s@:/\\?#%[\]]+)(?::\d{1,5})?$/i.exec(raw);
  const name = match?.[1]?.replace(/^\[|\]$/g, "");
  if (!name) throw invalidHost();
  if (isIP(name)) return name;
  const ascii = domainToASCII(name.replace(/\.$/, ""));
  if (
    !/^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$/.test(
      ascii,
    )
  ) {
    throw invalidHost();
  }
  return ascii;
}
