/**
 * The one encoder of a tenant's keys, for whatever lives outside PostgreSQL: rate limits, sessions,
 * caches. A key is `insulae:<tenant>:<part>:<part>…`, and no two lists of parts have the same key:
 * what separates parts can't be in one, nor what Redis would not keep apart (half of a surrogate
 * pair becomes U+FFFD in UTF-8).
 */
import type { TenantId } from "../tenancy/tenant.ts";

const prefix = "insulae";

/** The place of the tenant's id in keys of the platform. No id is encoded as this. */
const platform = "%";

const special = /[%:]|\p{Surrogate}/u;
// Bounded: it is a single character.
const everySpecial = new RegExp(special.source, "gu");

/** Always four digits, so that what follows can't be taken for one of them. */
const spelled = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

const encode = (part: string): string =>
  special.test(part) ? part.replaceAll(everySpecial, spelled) : part;

/**
 * The key of something of a tenant's, or of the platform's where `tenant` is undefined.
 *
 * @example
 * tenantKey(tenant.id, "session", id); // insulae:0190…:session:0191…
 */
export function tenantKey(tenant: TenantId | undefined, ...parts: readonly string[]): string {
  let key = `${prefix}:${tenant === undefined ? platform : encode(tenant)}`;
  for (const part of parts) key += `:${encode(part)}`;
  return key;
}
