/**
 * What nodes tell each other, over `NOTIFY insulae` in the main database: that something they may
 * have cached has changed. Payloads are ids and nothing else. Triggers of the control plane announce
 * tenants, placements, servers, accounts, ended sessions and signing keys in the transaction that changes them; users live with their
 * tenants, perhaps in another database, and are announced here once the change is made.
 */
import { type Kysely, sql } from "kysely";
import type { Broker } from "../engine/broker.ts";
import type { Target } from "../engine/target.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import type { Redis } from "../redis/redis.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { AccountId, TenantId, UserId } from "../tenancy/tenant.ts";
import { createListener } from "./listener.ts";

export interface AnnouncementHandlers {
  readonly onTenant: (id: TenantId) => void;
  /** Nothing is to be remembered of the tenant. */
  readonly onErased: (id: TenantId) => void;
  /** @param userId undefined: any user of the tenant */
  readonly onUser: (tenantId: TenantId, userId?: UserId) => void;
  readonly onAccount: (id: AccountId) => void;
  /** A mail is to be sent. */
  readonly onMail: () => void;
  /** There is a job to do. */
  readonly onJob: () => void;
  readonly onHostCertificate: (hostname: string) => void;
  readonly onSessionEnded: (id: string) => void;
  readonly onKeys: () => void;
  /** It has another URL, or is gone. */
  readonly onServer: (id: string) => void;
  readonly onClientCertificate: () => void;
  /** @param id of a key or tag of the tenant's cache */
  readonly onCache: (tenantId: TenantId, id: string) => void;
  /** Somebody in the tenant wants other events. */
  readonly onEvents: (tenantId: TenantId) => void;
  /** Anything may have changed. */
  readonly onAnything: () => void;
}

/**
 * What a cache needs to go by announcements. Only who says how to forget learns whether they are heard.
 *
 * @param forgetAll is called whenever announcements may have been missed.
 * @returns whether announcements are heard at this moment. A cache asks before it looks: where they
 *   have just been found unheard, it is empty by then.
 */
export type FollowAnnouncements = (forgetAll: () => void) => () => boolean;

export interface Announcements {
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
  readonly handlers: AnnouncementHandlers;
  readonly log: Logger;
}

const channel = "insulae";
const redisChannel = tenantKey(undefined, "announcements");

export function createAnnouncements(options: AnnouncementsOptions): Announcements {
  const { broker, target, control, redis, handlers, log } = options;

  const onMessage = (payload: string): void => {
    const [kind, first = "", second = ""] = payload.split(":");
    // The ids come from our own triggers and from the methods below.
    if (kind === "tenant") handlers.onTenant(first as TenantId);
    else if (kind === "erased") handlers.onErased(first as TenantId);
    else if (kind === "users") handlers.onUser(first as TenantId);
    else if (kind === "user") handlers.onUser(first as TenantId, second as UserId);
    else if (kind === "account") handlers.onAccount(first as AccountId);
    else if (kind === "mail") handlers.onMail();
    else if (kind === "job") handlers.onJob();
    else if (kind === "host_certificate") handlers.onHostCertificate(first);
    else if (kind === "session") handlers.onSessionEnded(first);
    else if (kind === "keys") handlers.onKeys();
    else if (kind === "server") handlers.onServer(first);
    else if (kind === "cache") handlers.onCache(first as TenantId, second);
    else if (kind === "client_certificate") handlers.onClientCertificate();
    else if (kind === "events") handlers.onEvents(first as TenantId);
    else handlers.onAnything();
  };

  const notify = (to: string, payload: string) =>
    sql`select pg_notify(${to}, ${payload})`.execute(control);
  const listener = createListener({
    broker,
    target,
    channel,
    onMessage(payload) {
      onMessage(payload);
      tellByRedis(payload);
    },
    onGap: handlers.onAnything,
    notify,
    log,
  });

  // The nodes that hear an announcement repeat it over Redis, for one that has lost its connection to
  // the database. That one is still not `listening`: it can't know whether anybody heard all.
  const tellByRedis = (payload: string): void => {
    if (!redis?.isHere()) return;
    redis.run((client) => client.sendCommand(["PUBLISH", redisChannel, payload])).catch(() => {});
  };
  redis?.subscribe(redisChannel, (payload) => {
    if (!listener.listening()) onMessage(payload);
  });
  const announce = async (payload: string): Promise<void> => {
    await notify(channel, payload);
  };

  return {
    ...listener,
    announceErased: (id) => announce(`erased:${id}`),
    announceUser: (tenantId, userId) =>
      announce(userId === undefined ? `users:${tenantId}` : `user:${tenantId}:${userId}`),
    announceCache: (tenantId, id) => announce(`cache:${tenantId}:${id}`),
    announceEvents: (tenantId) => announce(`events:${tenantId}`),
  };
}
