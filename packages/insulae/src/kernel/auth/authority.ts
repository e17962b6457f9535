/**
 * What somebody may do now. A token says what was true when it was signed; this says what is true
 * at present, from the tenant's users and the platform's accounts, and it wins: a demotion, a
 * deactivation or a deletion counts from the next request on.
 *
 * Answers are cached, so that an ordinary request waits for nothing. Changes are announced
 * (`user:<tenant>:<user>`, `account:<account>`) and the nodes forget; should an announcement be
 * lost, an answer is believed for half a minute at most, and for a second while none can be heard.
 */
import { LRUCache } from "lru-cache";
import { type Feature, systemRoles } from "../feature.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { AccountId, Tenant, TenantId, UserId } from "../tenancy/tenant.ts";
import type { CorePrincipal, TenantPrincipal } from "./principal.ts";

export interface Authority {
  /** The user, or undefined if the tenant has no such user or the user is inactive. */
  findUser(tenant: Tenant, id: UserId): MaybePromise<TenantPrincipal | undefined>;
  /** The account, or undefined if there is none or it is inactive. */
  findAccount(id: AccountId): MaybePromise<CorePrincipal | undefined>;
  forgetUser(tenantId: TenantId, id: UserId): void;
  forgetAccount(id: AccountId): void;
  forgetAll(): void;
}

/** An active user, as the tenant's tables have it. */
export interface UserStanding {
  readonly email: string;
  readonly role: string;
}

/** An active account, as the control plane has it. */
export interface AccountStanding {
  readonly email: string;
  readonly platformAdmin: boolean;
}

export interface AuthorityOptions {
  readonly loadUser: (tenant: Tenant, id: UserId) => Promise<UserStanding | undefined>;
  readonly loadAccount: (id: AccountId) => Promise<AccountStanding | undefined>;
  readonly permissionsOf: (role: string) => ReadonlySet<string>;
  /** Whether announcements are heard at this moment. */
  readonly listening: () => boolean;
  /** How many users, and how many accounts, are remembered. */
  readonly max?: number;
  readonly ttlMs?: number;
}

/** Who may do what at present. @see Authority */
export function createAuthority(options: AuthorityOptions): Authority {
  const { loadUser, loadAccount, permissionsOf, listening, max = 50_000, ttlMs = 30_000 } = options;
  const ttl = () => (listening() ? ttlMs : Math.min(ttlMs, 1_000));
  const users = createAnswers<TenantPrincipal>(max, ttl);
  const accounts = createAnswers<CorePrincipal>(max, ttl);

  const askForUser = async (tenant: Tenant, id: UserId): Promise<TenantPrincipal | undefined> => {
    const standing = await loadUser(tenant, id);
    if (!standing) return undefined;
    const permissions = permissionsOf(standing.role);
    return Object.freeze({ kind: "tenant", id, tenantId: tenant.id, ...standing, permissions });
  };

  const askForAccount = async (id: AccountId): Promise<CorePrincipal | undefined> => {
    const standing = await loadAccount(id);
    return standing && Object.freeze({ kind: "core", id, ...standing });
  };

  return {
    findUser: (tenant, id) => users.find(`${tenant.id}/${id}`, () => askForUser(tenant, id)),
    findAccount: (id) => accounts.find(id, () => askForAccount(id)),
    forgetUser: (tenantId, id) => users.forget(`${tenantId}/${id}`),
    forgetAccount: (id) => accounts.forget(id),
    forgetAll() {
      users.clear();
      accounts.clear();
    },
  };
}

/** How exactly lifetimes are kept, in milliseconds: asking for the time at each hit would cost more. */
const ttlResolution = 100;

/**
 * Answers that are asked for once, however many wait, and kept for a while; "nobody" is an answer
 * too. An answer that was asked for before something was forgotten is given to those who waited for
 * it, and not kept.
 */
function createAnswers<Answer extends object>(max: number, ttl: () => number) {
  const known = new LRUCache<string, { readonly answer: Answer | undefined }>({
    max,
    ttlResolution,
  });
  const waiting = new Map<string, Promise<Answer | undefined>>();

  const ask = (key: string, load: () => Promise<Answer | undefined>) => {
    const asking = load()
      .then((answer) => {
        if (waiting.get(key) === asking) known.set(key, { answer }, { ttl: ttl() });
        return answer;
      })
      .finally(() => {
        if (waiting.get(key) === asking) waiting.delete(key);
      });
    waiting.set(key, asking);
    return asking;
  };

  return {
    find(key: string, load: () => Promise<Answer | undefined>): MaybePromise<Answer | undefined> {
      const hit = known.get(key);
      return hit ? hit.answer : (waiting.get(key) ?? ask(key, load));
    },
    forget(key: string) {
      known.delete(key);
      waiting.delete(key);
    },
    clear() {
      known.clear();
      waiting.clear();
    },
  };
}

/** Whether a system role is at least as powerful as another; never so for a role unknown here. */
export const isAtLeast = (role: string, other: string): boolean => {
  const order: readonly string[] = systemRoles;
  const rank = order.indexOf(role);
  return rank >= 0 && rank <= order.indexOf(other);
};

const nothing: ReadonlySet<string> = new Set();

/**
 * The permissions that the system roles have, from what the features declare: a permission given to
 * one role is held by all before it (owner > admin > manager > user > viewer). An unknown role has
 * none.
 */
export function systemRolePermissions(
  features: readonly Feature[],
): (role: string) => ReadonlySet<string> {
  const declared = features.flatMap(({ permissions }) => [...permissions]);
  const byRole = new Map<string, ReadonlySet<string>>(
    systemRoles.map((role) => [
      role,
      new Set(
        declared.filter(([, { role: least }]) => isAtLeast(role, least)).map(([name]) => name),
      ),
    ]),
  );
  return (role) => byRole.get(role) ?? nothing;
}
