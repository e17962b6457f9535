/**
 * When API keys were used last. Requests only leave a note in memory; the notes are written together
 * every minute, and when the process stops, so that no request waits for it and a key's row is
 * written once a minute at most, on each node.
 */

import type { Tenant } from "../model/tenant.ts";
import type { Logger } from "../telemetry/log.ts";

export interface ApiKeyUse {
  /** Notes that the tenant's key is used now. */
  note(tenant: Tenant, keyId: string): void;
  /** Writes what is left. */
  close(): Promise<void>;
}

export interface ApiKeyUseOptions {
  /** Writes down when keys of one tenant were used. */
  readonly write: (tenant: Tenant, usedAt: ReadonlyMap<string, Date>) => Promise<void>;
  readonly log: Logger;
}

const everyMs = 60_000;

export function createApiKeyUse({ write, log }: ApiKeyUseOptions): ApiKeyUse {
  let notes = new Map<string, { readonly tenant: Tenant; readonly usedAt: Map<string, Date> }>();
  let writing = Promise.resolve();

  const flush = async (): Promise<void> => {
    const noted = [...notes.values()];
    notes = new Map();
    for (const { tenant, usedAt } of noted) {
      // The tenant may be gone, or its database away: the next use is noted again.
      await write(tenant, usedAt).catch((error: unknown) =>
        log.warn({ err: error, tenant_id: tenant.id }, "The last use of API keys was not written"),
      );
    }
  };
  const schedule = () => {
    writing = writing.then(flush);
    return writing;
  };
  const timer = setInterval(schedule, everyMs);
  timer.unref();

  return {
    note(tenant, keyId) {
      const found = notes.get(tenant.id);
      if (found) found.usedAt.set(keyId, new Date());
      else notes.set(tenant.id, { tenant, usedAt: new Map([[keyId, new Date()]]) });
    },
    close() {
      clearInterval(timer);
      return schedule();
    },
  };
}
