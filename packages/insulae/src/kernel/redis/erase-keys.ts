/** A tenant's keys in Redis: `tenantKey` gives all of them one beginning. */

import type { TenantId } from "../lib/ids.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import type { Redis } from "./redis.ts";

/** How many keys Redis looks at in one step. */
const perStep = 1_000;

/** @throws RedisAbsent */
async function* keysOf(redis: Redis, id: TenantId): AsyncGenerator<readonly string[]> {
  // A uuid has no character that means something in a pattern.
  const pattern = `${tenantKey(id)}:*`;
  for (let cursor = "0"; ; ) {
    const reply = await redis.run((client) =>
      client.sendCommand(["SCAN", cursor, "MATCH", pattern, "COUNT", String(perStep)]),
    );
    const [next, keys] = reply as unknown as [string, string[]]; // as SCAN replies
    if (keys.length > 0) yield keys;
    cursor = next;
    if (cursor === "0") return;
  }
}

/** @throws RedisAbsent; then some of them may be left */
export async function eraseKeys(redis: Redis, id: TenantId): Promise<void> {
  for await (const keys of keysOf(redis, id)) {
    await redis.run((client) => client.sendCommand(["UNLINK", ...keys]));
  }
}

/** @throws RedisAbsent */
export async function countKeys(redis: Redis, id: TenantId): Promise<number> {
  let count = 0;
  for await (const keys of keysOf(redis, id)) count += keys.length;
  return count;
}
