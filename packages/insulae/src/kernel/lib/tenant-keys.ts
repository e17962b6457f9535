/**
 * The only encoder of tenant-scoped keys outside PostgreSQL: rate limits, sessions, caches. A key
 * is `insulae:<tenant>:<part>:<part>…`. The encoding is injective: parts can't contain the
 * separator, nor anything that Redis would not distinguish (half a surrogate pair becomes U+FFFD in
 * UTF-8).
 */
import type { TenantId } from "./ids.ts";

const prefix = "insulae";

/** Stands for the tenant's id in keys of the platform. No id is encoded as this. */
const platform = "%";

const special = /[%:]|\p{Surrogate}/u;
// Bounded: it is a single character.
const everySpecial = new RegExp(special.source, "gu");

/** Always four digits, so that what follows can't be read as one of them. */
const spelled = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

const encode = (part: string): string =>
  special.test(part) ? part.replaceAll(everySpecial, spelled) : part;

/**
 * The key of something of a tenant, or of the platform if `tenant` is undefined.
 *
 * @example
 * tenantKey(tenant.id, "session", id); // insulae:0190…:session:0191…
 */
export function tenantKey(tenant: TenantId | undefined, ...parts: readonly string[]): string {
  let key = `${prefix}:${tenant === undefined ? platform : encode(tenant)}`;
  for (const part of parts) key += `:${encode(part)}`;
  return key;
}
