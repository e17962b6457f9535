/**
 * The catalogue: what this process knows of the tenants.
 *
 * Names (host, key, slug, number) lead to ids, ids to tenants. A hit is synchronous, so that an
 * ordinary request waits for nothing. A miss asks the control plane once, however many wait for it.
 * Unknown names are remembered too, in a small cache of their own, so that a scan can't push the
 * tenants out. Every change is announced in the transaction that makes it (`NOTIFY insulae`); while
 * the announcements can't be heard, nothing is believed for longer than a second.
 */
import { LRUCache } from "lru-cache";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import { normalised } from "../lib/text.ts";
import { isUuid } from "../lib/uuid.ts";
import type { Tenant, TenantId } from "./tenant.ts";
import type { TenantLookup } from "./tenant-queries.ts";

export interface Catalogue {
  /** The tenant, undefined if there is none, or a promise of that where it must be asked for. */
  find(lookup: TenantLookup): MaybePromise<Tenant | undefined>;
  /** The tenant, if it is in memory at this moment: asks nobody. */
  findKnown(lookup: TenantLookup): Tenant | undefined;
  /** Finds by whatever somebody calls a tenant: id, number, key or slug. */
  findByReference(reference: string): MaybePromise<Tenant | undefined>;
  forget(id: TenantId): void;
  forgetAll(): void;
}

export interface CatalogueOptions {
  readonly load: (lookup: TenantLookup) => Promise<Tenant | undefined>;
  readonly follow: FollowAnnouncements;
  readonly maxTenants?: number;
}

/** Which lookups a reference may stand for; more than one only for key and slug. */
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

/** A name may have moved on since it was remembered: the tenant itself has the last word. */
function isCalled(tenant: Tenant, { by, value }: TenantLookup): boolean {
  return by === "host" ? tenant.hosts.includes(value) : String(tenant[by]) === value;
}

/** How exactly lifetimes are kept, in milliseconds: asking for the time at each hit would cost more. */
const ttlResolution = 100;

export function createCatalogue(options: CatalogueOptions): Catalogue {
  const { load, follow, maxTenants = 50_000 } = options;
  const tenants = new LRUCache<string, Tenant>({ max: maxTenants, ttlResolution });
  const names = new LRUCache<string, string>({ max: maxTenants * 4, ttlResolution });
  const unknown = new LRUCache<string, true>({ max: 10_000, ttlResolution });
  const loading = new Map<string, Promise<Tenant | undefined>>();
  // Counts what was forgotten: an answer that was asked for before must not be kept after.
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
    listening(); // If it is found only now that nothing is heard, this empties all.
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
