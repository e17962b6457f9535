/**
 * Records when API keys were last used. Requests only note it in memory. The notes are written
 * every minute and when the process stops, so no request waits, and each node writes a key's row at
 * most once a minute.
 */

import type { Tenant } from "../model/tenant.ts";
import type { Logger } from "../telemetry/log.ts";

export interface ApiKeyUse {
  /** Notes that the tenant's key was used now. */
  note(tenant: Tenant, keyId: string): void;
  /** Writes the remaining notes. */
  close(): Promise<void>;
}

export interface ApiKeyUseOptions {
  /** Stores when a tenant's keys were used. */
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
      // The tenant may have been erased, or its database be down; the next use is noted again.
      await write(tenant, usedAt).catch((error: unknown) =>
        log.warn({ err: error, tenant_id: tenant.id }, "Could not record the last use of API keys"),
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
