/**
 * Which sessions at the platform have entered which tenants lately, so that a tenant's audit log says that
 * somebody entered, and not each time that a tab renews its token. Each process has its own: with
 * several, there may be an entry for each.
 */
import { LRUCache } from "lru-cache";

const dayMs = 86_400_000;
const entered = new LRUCache<string, true>({ max: 10_000, ttl: dayMs });

/** Whether the session has not entered the tenant within a day. */
export const isEntering = (sessionId: string, tenantId: string): boolean =>
  !entered.has(`${sessionId} ${tenantId}`);

/** To be called once it is in the log. */
export const noteEntry = (sessionId: string, tenantId: string): void =>
  void entered.set(`${sessionId} ${tenantId}`, true);
