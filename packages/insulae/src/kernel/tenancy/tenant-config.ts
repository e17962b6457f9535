/**
 * The part of a tenant that other programs may read: JSON in Redis under `tenant:{id}:config`, for
 * at most an hour, filled on demand and deleted when the tenant changes.
 *
 * It is a copy. The control plane is the truth, and this process uses its catalogue, from which the
 * copy is filled; it never routes, authorises or limits a request by what Redis says. Every node
 * deletes the copy when a change is announced. A node that filled it from a stale catalogue
 * receives the announcement too and deletes it afterwards. A node that may have missed an
 * announcement deletes all copies that it wrote.
 */

import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { TenantId } from "../lib/ids.ts";
import { createOwedDeletions } from "../redis/owed-deletions.ts";
import { type Redis, RedisAbsent } from "../redis/redis.ts";
import type { Catalogue } from "./catalogue.ts";

export interface TenantConfig {
  readonly id: TenantId;
  readonly key: string;
  readonly slug: string;
  readonly name: string;
  readonly status: "active" | "suspended";
  readonly plan: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface TenantConfigs {
  /** The config of a living tenant, active or suspended. */
  find(id: TenantId): Promise<TenantConfig | undefined>;
  /** Call this when the tenant has changed. */
  forget(id: TenantId): void;
  close(): void;
}

export interface TenantConfigsOptions {
  readonly redis: Redis | undefined;
  readonly catalogue: Pick<Catalogue, "find">;
  readonly follow: FollowAnnouncements;
}

const lifetimeSeconds = 3_600;
/** A node remembers the tenants whose copies it wrote, so it writes at most this many. */
const maxWritten = 10_000;

/** The key as other programs know it. An id needs no encoding. */
export const tenantConfigKey = (id: TenantId): string => `tenant:${id}:config`;

export function createTenantConfigs(options: TenantConfigsOptions): TenantConfigs {
  const { redis, catalogue, follow } = options;
  const owed = redis && createOwedDeletions(redis);
  // Incremented by each invalidation: results of queries that began earlier must not be stored.
  let generation = 0;
  /** The tenants whose copies this node has written since they were last deleted. */
  const written = new Set<TenantId>();

  const forget = (id: TenantId): void => {
    generation += 1;
    written.delete(id);
    void owed?.delete(tenantConfigKey(id));
  };
  const forgetWritten = (): void => {
    generation += 1;
    for (const id of written) forget(id);
  };
  const listening = follow({ tenant: forget, anything: forgetWritten });

  const load = async (id: TenantId): Promise<TenantConfig | undefined> => {
    const tenant = await catalogue.find({ by: "id", value: id });
    if (!tenant) return undefined;
    const { key, slug, name, status, plan, settings } = tenant;
    if (status !== "active" && status !== "suspended") return undefined;
    return { id: tenant.id, key, slug, name, status, plan, settings };
  };
  const read = async (from: Redis, id: TenantId): Promise<TenantConfig | undefined> => {
    const text = await from.run((client) => client.sendCommand(["GET", tenantConfigKey(id)]));
    return typeof text === "string" ? parse(text, id) : undefined;
  };
  const write = async (to: Redis, config: TenantConfig): Promise<void> => {
    if (written.size >= maxWritten) forgetWritten();
    written.add(config.id);
    const command = ["SET", tenantConfigKey(config.id), JSON.stringify(config)];
    await to.run((client) => client.sendCommand([...command, "EX", String(lifetimeSeconds)]));
  };

  return {
    async find(id) {
      if (!redis?.isHere() || !listening() || owed?.has(tenantConfigKey(id))) return load(id);
      const asked = generation;
      const known = await read(redis, id).catch(ifAbsent);
      if (known) return known;
      const config = await load(id);
      // Without announcements, this node could not delete what it writes.
      if (config && asked === generation && listening()) await write(redis, config).catch(ifAbsent);
      return config;
    },
    forget,
    close: () => owed?.close(),
  };
}

/** Ignores values that are not this tenant's: somebody else may have written them. */
function parse(text: string, id: TenantId): TenantConfig | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isConfig = typeof value === "object" && value !== null && "id" in value;
    // Written by this server or a program that knows the format.
    return isConfig && value.id === id ? (value as TenantConfig) : undefined;
  } catch {
    return undefined;
  }
}

function ifAbsent(error: unknown): undefined {
  if (!(error instanceof RedisAbsent)) throw error;
  return undefined;
}
