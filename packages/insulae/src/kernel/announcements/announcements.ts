/**
 * Announcements between nodes, over `NOTIFY insulae` in the main database: something that may be
 * cached has changed. Payloads contain only ids. Triggers of the control plane announce tenants,
 * placements, servers, accounts, ended sessions and signing keys in the transaction of the change.
 * Users live in their tenants' databases, and are announced here after the change.
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
  /** Whether announcements are being received. */
  readonly listening: () => boolean;
  /** Starts, and resolves when the first announcement can be received. */
  listen(): Promise<void>;
  /** How often announcements may have been missed. */
  readonly gaps: () => number;
  announceErased(id: TenantId): Promise<void>;
  /** @param userId undefined: any user of the tenant may have changed */
  announceUser(tenantId: TenantId, userId: string | undefined): Promise<void>;
  /** @param id a hash of the key or tag, which reveals nothing */
  announceCache(tenantId: TenantId, id: string): Promise<void>;
  announceEvents(tenantId: TenantId): Promise<void>;
  close(): Promise<void>;
}

export interface AnnouncementsOptions {
  readonly broker: Broker;
  /** The main database, as the role `listener`. */
  readonly target: Target;
  readonly control: Kysely<ControlTables>;
  /** A second channel, for a node that can't use the first. */
  readonly redis?: Redis | undefined;
  readonly log: Logger;
}

const channel = "insulae";
const redisChannel = tenantKey(undefined, "announcements");

/** Receives nothing until `listen()`, so that all followers can subscribe first. */
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

  // Nodes repeat announcements over Redis for a node that has lost its database connection. That
  // node still is not `listening`, because it can't know whether anybody received all of them.
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
