/**
 * Keys that have to go, also if Redis is away at the moment: what it still has of them must not come
 * back with it. They are tried every second until they are gone. There is at most one for each tenant
 * and purpose, so the list is bounded by the tenants.
 */
import type { Redis } from "./redis.ts";

export interface OwedDeletions {
  /** Deletes the key now if that can be; otherwise as soon as it can. */
  delete(key: string): Promise<void>;
  /** Whether the key is still to be deleted, and what it holds not to be believed. */
  has(key: string): boolean;
  close(): void;
}

const retryMs = 1_000;

export function createOwedDeletions(redis: Redis): OwedDeletions {
  const owed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const pay = async (key: string): Promise<void> => {
    await redis.run((client) => client.sendCommand(["DEL", key]));
    owed.delete(key);
  };
  const payLater = (): void => {
    timer ??= setTimeout(async () => {
      for (const key of owed) {
        if (redis.isHere()) await pay(key).catch(() => undefined); // away again
      }
      timer = undefined;
      if (owed.size > 0) payLater();
    }, retryMs).unref();
  };

  return {
    async delete(key) {
      owed.add(key);
      await pay(key).catch(payLater);
    },
    has: (key) => owed.has(key),
    close() {
      owed.clear();
      clearTimeout(timer);
    },
  };
}
