/**
 * The catalogue: this process's cache of tenants.
 *
 * It maps names (host, key, slug, number) to ids, and ids to tenants. A hit is synchronous, so most
 * requests never wait. A miss queries the control plane once, however many requests wait for it.
 * Unknown names are cached separately, in a small cache, so that a scan can't evict tenants. Every
 * change is announced in the transaction that makes it (`NOTIFY insulae`); while this process can't
 * receive announcements, entries live for at most a second.
 */
import { LRUCache } from "lru-cache";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { TenantId } from "../lib/ids.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import { normalised } from "../lib/text.ts";
import { isUuid } from "../lib/uuid.ts";
import type { Tenant } from "../model/tenant.ts";
import type { TenantLookup } from "./tenant-queries.ts";

export interface Catalogue {
  /** The tenant or undefined; a promise of it if the control plane has to be queried. */
  find(lookup: TenantLookup): MaybePromise<Tenant | undefined>;
  /** The tenant if it is cached; never queries. */
  findKnown(lookup: TenantLookup): Tenant | undefined;
  /** Finds by id, number, key or slug. */
  findByReference(reference: string): MaybePromise<Tenant | undefined>;
  forget(id: TenantId): void;
  forgetAll(): void;
}

export interface CatalogueOptions {
  readonly load: (lookup: TenantLookup) => Promise<Tenant | undefined>;
  readonly follow: FollowAnnouncements;
  readonly maxTenants?: number;
}

/** The lookups that a reference may stand for; more than one only for key and slug. */
export function lookupsOf(reference: string): readonly TenantLookup[] {
  if (isUuid(reference)) return [{ by: "id", value: reference.toLowerCase() }];
  if (/^\d{1,15}$/.test(reference)) return [{ by: "number", value: String(Number(reference)) }];
  const name = normalised(reference).toLowerCase();
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) return [];
  return name.includes("_")
    ? [{ by: "key", value: name }]
    : [
        { by: "key", value: name },
        { by: "slug", value: name },
      ];
}

/**
 * Whether the tenant still has the name, which may have moved to another tenant since it was
 * cached.
 */
function isCalled(tenant: Tenant, { by, value }: TenantLookup): boolean {
  return by === "host" ? tenant.hosts.includes(value) : String(tenant[by]) === value;
}

/** The precision of lifetimes in milliseconds. Reading the clock on each hit would cost more. */
const ttlResolution = 100;

export function createCatalogue(options: CatalogueOptions): Catalogue {
  const { load, follow, maxTenants = 50_000 } = options;
  const tenants = new LRUCache<string, Tenant>({ max: maxTenants, ttlResolution });
  const names = new LRUCache<string, string>({ max: maxTenants * 4, ttlResolution });
  const unknown = new LRUCache<string, true>({ max: 10_000, ttlResolution });
  const loading = new Map<string, Promise<Tenant | undefined>>();
  // Incremented by each invalidation: results of queries that began earlier must not be cached.
  let generation = 0;

  const forgetAll = (): void => {
    generation += 1;
    for (const cache of [tenants, names, unknown, loading]) cache.clear();
  };
  const forget = (id: TenantId): void => {
    generation += 1;
    tenants.delete(id);
    unknown.clear();
    loading.clear();
  };
  const listening = follow({ tenant: forget, anything: forgetAll });
  const ttl = () => ({ ttl: listening() ? 60_000 : 1_000 });

  const ask = async (name: string, lookup: TenantLookup): Promise<Tenant | undefined> => {
    const asked = generation;
    try {
      const tenant = await load(lookup);
      if (asked !== generation) return tenant;
      if (tenant) {
        tenants.set(tenant.id, tenant, ttl());
        names.set(name, tenant.id, ttl());
      } else {
        unknown.set(name, true, ttl());
      }
      return tenant;
    } finally {
      loading.delete(name);
    }
  };

  const nameOf = ({ by, value }: TenantLookup) => `${by}:${value}`;
  const findKnown: Catalogue["findKnown"] = (lookup) => {
    listening(); // Empties the cache if it turns out that announcements are not being received.
    const id = lookup.by === "id" ? lookup.value : names.get(nameOf(lookup));
    const tenant = id === undefined ? undefined : tenants.get(id);
    return tenant && isCalled(tenant, lookup) ? tenant : undefined;
  };

  const find: Catalogue["find"] = (lookup) => {
    const tenant = findKnown(lookup);
    if (tenant) return tenant;
    const name = nameOf(lookup);
    if (unknown.has(name)) return undefined;
    const waiting = loading.get(name) ?? ask(name, lookup);
    loading.set(name, waiting);
    return waiting;
  };

  const findFirst = (lookups: readonly TenantLookup[]): MaybePromise<Tenant | undefined> => {
    const [lookup, ...rest] = lookups;
    if (!lookup) return undefined;
    const found = find(lookup);
    if (found instanceof Promise) return found.then((tenant) => tenant ?? findFirst(rest));
    return found ?? findFirst(rest);
  };

  return {
    find,
    findKnown,
    findByReference: (reference) => findFirst(lookupsOf(reference)),
    forget,
    forgetAll,
  };
}
