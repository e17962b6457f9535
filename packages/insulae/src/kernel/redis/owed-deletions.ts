/**
 * Deletions that must happen even if Redis is unavailable now: the old values must not reappear
 * with it. Retried every second. There is at most one key per tenant and purpose, which bounds the
 * list.
 */
import type { Redis } from "./redis.ts";

export interface OwedDeletions {
  /** Deletes the key now if possible, otherwise as soon as possible. */
  delete(key: string): Promise<void>;
  /** Whether the key is still to be deleted; then its value must be ignored. */
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
