/**
 * A tenant's key is chosen by people and ends up in hosts (as the slug) and in messages, so it has
 * one canonical form, and names that mean something elsewhere are refused. Physical names never
 * come from it.
 */
import { defineError } from "../lib/errors.ts";
import { normalised } from "../lib/text.ts";
import { isUuid } from "../lib/uuid.ts";

export const invalidTenantKey = defineError(
  "invalid_tenant_key",
  400,
  "The tenant's key is invalid. Use 1 to 63 characters: a-z and 0-9, and between them _ and -.",
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
 * The one form of a tenant's key: NFKC, lower case.
 *
 * @throws invalidTenantKey, or reservedTenantKey for names such as `www`, `pg_x`, `xn--x`; digits only and
 *   the form of a UUID are not valid: these are numbers and ids.
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
      detail: "A key of digits alone could be taken for a tenant's number. Add a letter.",
    });
  }
  // Whoever meant that id would get this tenant, or the other way round.
  if (isUuid(slug)) {
    throw invalidTenantKey({
      detail: "A key in the form of a UUID could be taken for a tenant's id. Choose another.",
    });
  }
  return key;
}

/** The key as a DNS label. */
export const slugOf = (key: string): string => key.replaceAll("_", "-");
