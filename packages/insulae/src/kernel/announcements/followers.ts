/**
 * Who follows announcements, and what they do about them. Every cache that must not be old is a follower: it learns
 * whether announcements are heard only by following, and can't follow without saying what it does when some were missed.
 */
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";

/** What is announced, by its name on the channel, and what each announcement says. */
export interface AnnouncementKinds {
  readonly tenant: readonly [id: TenantId];
  /** Nothing is to be remembered of the tenant. */
  readonly erased: readonly [id: TenantId];
  readonly user: readonly [tenantId: TenantId, userId: UserId];
  /** Any user of the tenant. */
  readonly users: readonly [tenantId: TenantId];
  readonly account: readonly [id: AccountId];
  /** A mail is to be sent. */
  readonly mail: readonly [];
  /** There is a job to do. */
  readonly job: readonly [];
  readonly host_certificate: readonly [hostname: string];
  /** A session has ended. */
  readonly session: readonly [id: string];
  /** The signing keys have changed. */
  readonly keys: readonly [];
  /** It has another URL, or is gone. */
  readonly server: readonly [id: string];
  readonly client_certificate: readonly [];
  /** The id is that of a key or tag of the tenant's cache. */
  readonly cache: readonly [tenantId: TenantId, id: string];
  /** Somebody in the tenant wants other events. */
  readonly events: readonly [tenantId: TenantId];
}

type Kind = keyof AnnouncementKinds;

/** What a follower does when it hears something. */
export type Reactions = {
  readonly [K in Kind]?: (...said: AnnouncementKinds[K]) => void;
} & {
  /** Announcements may have been missed: anything may have changed. Nobody can follow without saying what then. */
  readonly anything: () => void;
};

/**
 * Subscribes to announcements, for as long as there are any. A cache can ask whether its entries may be believed
 * only after it has said how to forget them.
 *
 * @returns whether announcements are heard at this moment. A cache asks before it looks: where they
 *   have just been found unheard, it is empty by then.
 * @example
 * const listening = follow({ tenant: (id) => tenants.delete(id), anything: () => tenants.clear() });
 */
export type FollowAnnouncements = (reactions: Reactions) => () => boolean;

export interface Followers {
  add(reactions: Reactions): void;
  /** @param payload as it is announced: the kind and its ids, with colons between them */
  readonly hear: (payload: string) => void;
  /** Some announcements may have been missed. */
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
      // A newer version may announce what this one doesn't know.
      if (!isKind(kind)) return missSome();
      for (const reactions of followers) {
        // The ids come from our own triggers and from the methods of `announcements.ts`.
        (reactions[kind] as ((...said: readonly string[]) => void) | undefined)?.(...said);
      }
    },
    missSome,
  };
}
