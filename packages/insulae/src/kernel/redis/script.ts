import { createHash } from "node:crypto";
import type { RedisCommands } from "./redis.ts";

/** Runs a script with its keys and arguments. */
export type Script = (
  client: RedisCommands,
  keys: readonly string[],
  args: readonly string[],
) => Promise<unknown>;

/**
 * A Lua script, which Redis carries out as one step. It is named by its hash, and sent in full only
 * where Redis does not know it yet.
 */
export function defineScript(lua: string): Script {
  const hash = createHash("sha1").update(lua).digest("hex"); // what EVALSHA calls it by
  return async (client, keys, args) => {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await client.sendCommand(["EVALSHA", hash, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return client.sendCommand(["EVAL", lua, ...rest]);
    }
  };
}
