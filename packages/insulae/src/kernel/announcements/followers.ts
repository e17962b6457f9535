/**
 * Dispatches announcements to their followers. Every cache that must not be stale is a follower:
 * only by following does it learn whether announcements are being received, and a follower must
 * handle missed ones.
 */
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";

/** The kinds of announcements, by their name on the channel, with their arguments. */
export interface AnnouncementKinds {
  readonly tenant: readonly [id: TenantId];
  /** Drop everything about the tenant. */
  readonly erased: readonly [id: TenantId];
  readonly user: readonly [tenantId: TenantId, userId: UserId];
  /** Any user of the tenant. */
  readonly users: readonly [tenantId: TenantId];
  readonly account: readonly [id: AccountId];
  /** A mail is waiting to be sent. */
  readonly mail: readonly [];
  /** A job is waiting. */
  readonly job: readonly [];
  readonly host_certificate: readonly [hostname: string];
  /** A session has ended. */
  readonly session: readonly [id: string];
  /** The signing keys have changed. */
  readonly keys: readonly [];
  /** Its URL has changed, or it was removed. */
  readonly server: readonly [id: string];
  readonly client_certificate: readonly [];
  /** The id is that of a key or tag of the tenant's cache. */
  readonly cache: readonly [tenantId: TenantId, id: string];
  /** The tenant's event subscriptions have changed. */
  readonly events: readonly [tenantId: TenantId];
}

type Kind = keyof AnnouncementKinds;

/** A follower's handlers. */
export type Reactions = {
  readonly [K in Kind]?: (...said: AnnouncementKinds[K]) => void;
} & {
  /** Announcements may have been missed: anything may have changed. Required. */
  readonly anything: () => void;
};

/**
 * Subscribes to announcements, permanently. A cache can learn whether its entries are trustworthy
 * only after it has said how to drop them.
 *
 * @returns a function that tells whether announcements are being received. Call it before each
 * look-up: if reception has just been found broken, the cache has been cleared by the time it
 * returns
 * @example
 * const listening = follow({ tenant: (id) => tenants.delete(id), anything: () => tenants.clear()
 * });
 */
export type FollowAnnouncements = (reactions: Reactions) => () => boolean;

export interface Followers {
  add(reactions: Reactions): void;
  /** @param payload the kind and its ids, separated by colons */
  readonly hear: (payload: string) => void;
  /** Call when announcements may have been missed. */
  readonly missSome: () => void;
}

const kinds: Readonly<Record<Kind, true>> = {
  tenant: true,
  erased: true,
  user: true,
  users: true,
  account: true,
  mail: true,
  job: true,
  host_certificate: true,
  session: true,
  keys: true,
  server: true,
  client_certificate: true,
  cache: true,
  events: true,
};
const isKind = (name: string): name is Kind => Object.hasOwn(kinds, name);

export function createFollowers(): Followers {
  const followers: Reactions[] = [];

  const missSome = (): void => {
    for (const { anything } of followers) anything();
  };
  return {
    add: (reactions) => void followers.push(reactions),
    hear(payload) {
      const [kind = "", ...said] = payload.split(":");
      // A newer version may announce kinds that this one doesn't know.
      if (!isKind(kind)) return missSome();
      for (const reactions of followers) {
        // ids come from our own triggers and `announcements.ts`
        (reactions[kind] as ((...said: readonly string[]) => void) | undefined)?.(...said);
      }
    },
    missSome,
  };
}
