/**
 * What nodes tell each other, over `NOTIFY insulae` in the main database: that something they may
 * have cached has changed. Payloads are ids and nothing else. Triggers of the control plane announce
 * tenants, placements, servers, accounts, ended sessions and signing keys in the transaction that changes them; users live with their
 * tenants, perhaps in another database, and are announced here once the change is made.
 */
import { type Kysely, sql } from "kysely";
import type { Broker } from "../engine/broker.ts";
import type { Target } from "../engine/target.ts";
import type { TenantId } from "../lib/ids.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import type { Redis } from "../redis/redis.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { createFollowers, type FollowAnnouncements } from "./followers.ts";
import { createListener } from "./listener.ts";

export interface Announcements {
  readonly follow: FollowAnnouncements;
  /** Whether announcements are heard at this moment. */
  readonly listening: () => boolean;
  /** Begins, and resolves when announcements are heard for the first time. */
  listen(): Promise<void>;
  /** How often announcements may have been missed. */
  readonly gaps: () => number;
  announceErased(id: TenantId): Promise<void>;
  /** @param userId undefined: any user of the tenant may have changed */
  announceUser(tenantId: TenantId, userId: string | undefined): Promise<void>;
  /** @param id of a key or tag of the tenant's cache, which tells nothing */
  announceCache(tenantId: TenantId, id: string): Promise<void>;
  announceEvents(tenantId: TenantId): Promise<void>;
  close(): Promise<void>;
}

export interface AnnouncementsOptions {
  readonly broker: Broker;
  /** The main database, as the role `listener`. */
  readonly target: Target;
  readonly control: Kysely<ControlTables>;
  /** A second way, for a node that can't hear the first. */
  readonly redis?: Redis | undefined;
  readonly log: Logger;
}

const channel = "insulae";
const redisChannel = tenantKey(undefined, "announcements");

/** Hears nothing until `listen()`; whatever follows is made after it, and before that. */
export function createAnnouncements(options: AnnouncementsOptions): Announcements {
  const { broker, target, control, redis, log } = options;
  const followers = createFollowers();

  const notify = (to: string, payload: string) =>
    sql`select pg_notify(${to}, ${payload})`.execute(control);
  const listener = createListener({
    broker,
    target,
    channel,
    onMessage(payload) {
      followers.hear(payload);
      relayOverRedis(payload);
    },
    onGap: followers.missSome,
    notify,
    log,
  });

  // The nodes that hear an announcement repeat it over Redis, for one that has lost its connection to
  // the database. That one is still not `listening`: it can't know whether anybody heard all.
  const relayOverRedis = (payload: string): void => {
    if (!redis?.isHere()) return;
    redis.run((client) => client.sendCommand(["PUBLISH", redisChannel, payload])).catch(() => {});
  };
  redis?.subscribe(redisChannel, (payload) => {
    if (!listener.listening()) followers.hear(payload);
  });
  const announce = async (payload: string): Promise<void> => {
    await notify(channel, payload);
  };

  return {
    ...listener,
    follow: (reactions) => {
      followers.add(reactions);
      return listener.listening;
    },
    announceErased: (id) => announce(`erased:${id}`),
    announceUser: (tenantId, userId) =>
      announce(userId === undefined ? `users:${tenantId}` : `user:${tenantId}:${userId}`),
    announceCache: (tenantId, id) => announce(`cache:${tenantId}:${id}`),
    announceEvents: (tenantId) => announce(`events:${tenantId}`),
  };
}
