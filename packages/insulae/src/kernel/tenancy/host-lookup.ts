import { LRUCache } from "lru-cache";
import { badHostHeader, canonicalHost } from "../net/hostname.ts";
import type { TenantLookup } from "./tenant-queries.ts";

export interface HostLookupOptions {
  readonly baseDomain: string;
  /** The platform's own hosts, such as that of `PUBLIC_URL`. They name no tenant. */
  readonly platformHosts: readonly string[];
}

/**
 * Resolves a Host header: to a slug below the base domain, to a possibly registered host, or to
 * nothing.
 *
 * @throws invalidHost
 */
export type HostLookup = (host: string) => TenantLookup | undefined;

export function createHostLookup({ baseDomain, platformHosts }: HostLookupOptions): HostLookup {
  const seen = new LRUCache<string, { readonly lookup: TenantLookup | undefined }>({ max: 10_000 });
  const suffix = `.${baseDomain}`;

  const lookupOf = (raw: string): TenantLookup | undefined => {
    const host = canonicalHost(raw, badHostHeader);
    if (host === baseDomain || platformHosts.includes(host)) return undefined;
    // A deeper name (`a.b.BASE_DOMAIN`) is not a slug.
    return host.endsWith(suffix)
      ? { by: "slug", value: host.slice(0, -suffix.length) }
      : { by: "host", value: host };
  };

  return (raw) => {
    const known = seen.get(raw);
    if (known) return known.lookup;
    const lookup = lookupOf(raw);
    seen.set(raw, { lookup });
    return lookup;
  };
}
