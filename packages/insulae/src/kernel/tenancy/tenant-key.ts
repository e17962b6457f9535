/**
 * A tenant's key is chosen by people and appears in host names (as the slug) and messages. It
 * therefore has one canonical form, and names with a meaning elsewhere are refused. Database and
 * schema names never derive from it.
 */
import { defineError } from "../lib/errors.ts";
import { normalised } from "../lib/text.ts";
import { isUuid } from "../lib/uuid.ts";

export const invalidTenantKey = defineError(
  "invalid_tenant_key",
  400,
  "The tenant's key is invalid. Use 1 to 63 characters: a-z and 0-9 and, except at the start and end, _ and -.",
);

export const reservedTenantKey = defineError(
  "reserved_tenant_key",
  400,
  "This key is reserved. Choose another.",
);

const reserved = new Set(
  `www admin api app public auth login account accounts static assets cdn mail smtp imap ftp ns ns1
  ns2 mx status docs help support blog dev test staging production localhost local internal system
  root owner control data insulae postgres template0 template1 tenant tenants platform console
  health metrics swagger-ui redoc api-docs null undefined true false none`.split(/\s+/),
);

/**
 * The canonical form of a tenant's key: NFKC, lower case.
 *
 * @throws invalidTenantKey, also for digits only (a number) or the form of a UUID (an id);
 *   reservedTenantKey for names such as `www`, `pg_x`, `xn--x`
 * @example canonicalTenantKey("Ａcme_Corp") === "acme_corp"
 */
export function canonicalTenantKey(input: string): string {
  const key = normalised(input).toLowerCase();
  if (!/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/.test(key)) throw invalidTenantKey();
  const slug = slugOf(key);
  if (reserved.has(key) || reserved.has(slug)) throw reservedTenantKey();
  // `pg_…` is PostgreSQL's; `xn--…` (any `??--…`) is IDNA's (RFC 5891, section 4.2.3.1).
  if (/^(pg-|template|..--)/.test(slug)) throw reservedTenantKey();
  if (/^\d+$/.test(key)) {
    throw invalidTenantKey({
      detail:
        "A key that consists of digits could be mistaken for a tenant's number. Add a letter.",
    });
  }
  // Otherwise a reference to that id could find this tenant, or vice versa.
  if (isUuid(slug)) {
    throw invalidTenantKey({
      detail: "A key in the form of a UUID could be mistaken for a tenant's id. Choose another.",
    });
  }
  return key;
}

/** The key as a DNS label. */
export const slugOf = (key: string): string => key.replaceAll("_", "-");
