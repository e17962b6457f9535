/**
 * The Redis backend, shared by all nodes. Besides entries it stores versions: one per tag, and one
 * for the tenant's whole cache. An entry records the versions it was created under and is valid
 * while all of them are current. So invalidating a tag deletes one small key, however many entries
 * have it, and if Redis loses a version, dependent entries become invalid.
 *
 *   insulae:<tenant>:cache:k…     <key of a version>=<version> …⏎<tenant> <JSON>     or   !<id>: invalidated
 *   insulae:<tenant>:cache:t…     the version of a tag
 *   insulae:<tenant>:cache:all    the version of everything
 *
 * A value loaded before an invalidation is never stored: a load records the versions, and what it
 * found in the entry's place, and its result is stored only if that is still there. (For a minute:
 * if a load takes longer and its key is deleted meanwhile, the value is stale until it expires.)
 *
 * An invalidation that failed because Redis was unavailable is owed: all of the tenant's entries,
 * by one key. Until it is done, the tenant bypasses Redis.
 */
import { randomBytes } from "node:crypto";
import type { TenantId } from "../lib/ids.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import { createOwedDeletions } from "../redis/owed-deletions.ts";
import type { Redis } from "../redis/redis.ts";
import { defineScript } from "../redis/script.ts";
import { type Entries, everything, maxTtlSeconds, type Slot } from "./entries.ts";

export interface RedisEntries extends Entries {
  /** Whether to use Redis for this tenant now. */
  isHere(tenantId: TenantId): boolean;
  /** Invalidate all of the tenant's entries as soon as Redis is available. */
  owe(tenantId: TenantId): void;
  close(): void;
}

/** Versions outlive every entry created under them. */
const versionMs = (maxTtlSeconds + 3600) * 1000;
const tombstoneMs = 60_000;

const currentVersion = `
  local function current(key)
    local version = redis.call('GET', key)
    if version then return version end
    redis.call('SET', key, ARGV[1], 'PX', ${versionMs})
    return ARGV[1]
  end
  local function head()
    local versions = {}
    for i = 2, #KEYS do versions[i - 1] = KEYS[i] .. '=' .. current(KEYS[i]) end
    return table.concat(versions, ' ')
  end
`;

/** KEYS: the entry, its versions. ARGV: a version for those that have none. */
const openScript = defineScript(`
  ${currentVersion}
  local raw = redis.call('GET', KEYS[1])
  if raw then
    local versions, body = string.match(raw, '^([^\\n]*)\\n(.*)$')
    if not versions then return { 'miss', raw, head() } end
    local valid = true
    for key, version in string.gmatch(versions, '(%S+)=(%S+)') do
      if redis.call('GET', key) ~= version then valid = false end
    end
    if valid then return { 'hit', body } end
    redis.call('DEL', KEYS[1])
  end
  return { 'miss', '', head() }
`);

/** KEYS: the entry. ARGV: what was in its place, the versions, the value, its lifetime. */
const keepScript = defineScript(`
  if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
  for key in string.gmatch(ARGV[2], '(%S+)=%S+') do redis.call('PEXPIRE', key, ${versionMs}) end
  redis.call('SET', KEYS[1], ARGV[2] .. '\\n' .. ARGV[3], 'PX', ARGV[4])
  return 1
`);

/** KEYS: the entry, its versions. ARGV: a version for those that have none, the value, its lifetime. */
const putScript = defineScript(`
  ${currentVersion}
  for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ${versionMs}) end
  redis.call('SET', KEYS[1], head() .. '\\n' .. ARGV[2], 'PX', ARGV[3])
`);

/**
 * KEYS: the entry, its versions. ARGV: a version for those that have none, the tenant, what to add,
 * the lifetime of a new one. An entry that is there keeps its own.
 */
const addScript = defineScript(`
  ${currentVersion}
  local raw = redis.call('GET', KEYS[1])
  local versions, body
  if raw then versions, body = string.match(raw, '^([^\\n]*)\\n(.*)$') end
  local valid = versions ~= nil
  for key, version in string.gmatch(versions or '', '(%S+)=(%S+)') do
    if redis.call('GET', key) ~= version then valid = false end
  end
  local value, lifetime = 0, tonumber(ARGV[4])
  if valid then
    local digits = string.match(string.sub(body, #ARGV[2] + 1), '^ (-?%d+)$')
    if string.sub(body, 1, #ARGV[2]) ~= ARGV[2] or not digits then return 'none' end
    value, lifetime = tonumber(digits), redis.call('PTTL', KEYS[1])
  else
    for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ${versionMs}) end
    versions = head()
  end
  local sum = string.format('%.0f', value + tonumber(ARGV[3]))
  redis.call('SET', KEYS[1], versions .. '\\n' .. ARGV[2] .. ' ' .. sum, 'PX', lifetime)
  return sum
`);

const keyOf = (tenantId: TenantId, id: string): string => tenantKey(tenantId, "cache", id);

const keysOf = ({ tenantId, id, tags }: Slot): string[] =>
  [id, everything, ...tags].map((each) => keyOf(tenantId, each));

const unique = (): string => randomBytes(12).toString("base64url");

export function createRedisEntries(redis: Redis): RedisEntries {
  const owed = createOwedDeletions(redis);
  const allOf = (tenantId: TenantId) => keyOf(tenantId, everything);

  const entries: RedisEntries = {
    isHere: (tenantId) => redis.isHere() && !owed.has(allOf(tenantId)),
    async find(slot) {
      const opened = await entries.open(slot);
      return "text" in opened ? opened.text : undefined;
    },
    async open(slot) {
      const keys = keysOf(slot);
      const reply = await redis.run((client) => openScript(client, keys, [unique()]));
      const [outcome, first = "", versions = ""] = reply as string[]; // the script's reply
      if (outcome === "hit") return { text: first };
      return {
        async keep(text, ttlMs) {
          const args = [first, versions, text, String(ttlMs)];
          await redis.run((client) => keepScript(client, keys.slice(0, 1), args));
        },
      };
    },
    async put(slot, text, ttlMs) {
      const args = [unique(), text, String(ttlMs)];
      await redis.run((client) => putScript(client, keysOf(slot), args));
    },
    async add(slot, by, ttlMs) {
      const args = [unique(), slot.tenantId, String(by), String(ttlMs)];
      const sum = await redis.run((client) => addScript(client, keysOf(slot), args));
      return sum === "none" ? undefined : Number(sum);
    },
    async forget(tenantId, id) {
      const key = keyOf(tenantId, id);
      const command = id.startsWith("k")
        ? ["SET", key, `!${unique()}`, "PX", String(tombstoneMs)]
        : ["DEL", key];
      await redis.run((client) => client.sendCommand(command));
    },
    owe(tenantId) {
      void owed.delete(allOf(tenantId));
    },
    close: owed.close,
  };
  return entries;
}
