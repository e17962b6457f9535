/**
 * What programs beside this one may know of a tenant: in Redis under `tenant:{id}:config`, as JSON, for
 * an hour at most, read through and gone when the tenant changes.
 *
 * It is a copy. The truth is the control plane, and what this process goes by is the catalogue, which it
 * is filled from: a request is never routed, permitted or limited by what Redis says. Every node deletes
 * it when it hears of the change; a node that has filled it from an older catalogue hears it as well, and
 * deletes after it has filled. A node that may have missed a change deletes all that it has filled.
 */

import type { FollowAnnouncements } from "../announcements/followers.ts";
import { createOwedDeletions } from "../redis/owed-deletions.ts";
import { type Redis, RedisAbsent } from "../redis/redis.ts";
import type { Catalogue } from "./catalogue.ts";
import type { TenantId } from "./tenant.ts";

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
  /** Of a tenant that lives, active or suspended. */
  find(id: TenantId): Promise<TenantConfig | undefined>;
  /** The tenant has changed. */
  forget(id: TenantId): void;
  close(): void;
}

export interface TenantConfigsOptions {
  readonly redis: Redis | undefined;
  readonly catalogue: Pick<Catalogue, "find">;
  readonly follow: FollowAnnouncements;
}

const lifetimeSeconds = 3_600;
/** A node remembers whose copies it wrote, so it writes no more than these. */
const maxWritten = 10_000;

/** As other programs know it; a tenant's id has nothing that would have to be encoded. */
export const tenantConfigKey = (id: TenantId): string => `tenant:${id}:config`;

export function createTenantConfigs(options: TenantConfigsOptions): TenantConfigs {
  const { redis, catalogue, follow } = options;
  const owed = redis && createOwedDeletions(redis);
  // Counts what was forgotten: what was asked for before must not be kept after.
  let generation = 0;
  /** Whose copies this node has written since they were last deleted. */
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
      // A node that hears of no change could not take back what it writes.
      if (config && asked === generation && listening()) await write(redis, config).catch(ifAbsent);
      return config;
    },
    forget,
    close: () => owed?.close(),
  };
}

/** What somebody else has put there is not believed: it has to be this tenant's at least. */
function parse(text: string, id: TenantId): TenantConfig | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isConfig = typeof value === "object" && value !== null && "id" in value;
    // This server wrote it, or a program that knows its form.
    return isConfig && value.id === id ? (value as TenantConfig) : undefined;
  } catch {
    return undefined;
  }
}

function ifAbsent(error: unknown): undefined {
  if (!(error instanceof RedisAbsent)) throw error;
  return undefined;
}
