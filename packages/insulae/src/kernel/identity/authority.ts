/**
 * The current standing of users and accounts. A token contains what was true when it was signed;
 * this reads the tenant's users and the platform's accounts, and takes precedence: a demotion,
 * deactivation or deletion takes effect with the next request.
 *
 * Results are cached, so that an ordinary request waits for nothing. Changes are announced
 * (`user:<tenant>:<user>`, `users:<tenant>` for custom roles, `account:<account>`) and nodes drop
 * their entries. If an announcement is lost, an entry lives for at most half a minute; while none
 * can be received, for a second.
 *
 * An API key is part of its maker's standing: loaded in the same query, invalidated by the same
 * announcement.
 *
 * A user linked to an account is active only while the account is. The *epoch* ends all sessions at
 * once (a new password, a log-out everywhere): it is made of the `sessions_valid_from` of user and
 * account. Every session stores the epoch it began in, and is over when the two differ. Epochs are
 * compared for equality, never ordered, so clocks need not agree, and a log-in that raced the
 * change is over before it begins.
 */

import { timingSafeEqual } from "node:crypto";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import { chain, type MaybePromise } from "../lib/maybe-promise.ts";
import type { Tenant } from "../model/tenant.ts";
import { type ApiKey, hashApiKeySecret } from "./api-key.ts";
import type { CorePrincipal, TenantPrincipal } from "./principal.ts";

export interface Authority {
  /** Undefined if the user does not exist or is inactive. */
  findUser(tenant: Tenant, id: UserId): MaybePromise<TenantPrincipal | undefined>;
  /**
   * The user that the key acts as: its maker, with those of the key's permissions that the maker
   * currently has. Undefined if there is no such key or active user.
   */
  findUserOfKey(tenant: Tenant, key: ApiKey): MaybePromise<TenantPrincipal | undefined>;
  /** The same for a key that is not presented, for work on behalf of whoever once presented it. */
  findHolderOfKey(
    tenant: Tenant,
    userId: UserId,
    keyId: string,
  ): MaybePromise<TenantPrincipal | undefined>;
  /** Undefined if the account does not exist or is inactive. */
  findAccount(id: AccountId): MaybePromise<CorePrincipal | undefined>;
  /** @param id absent: all users of the tenant */
  forgetUser(tenantId: TenantId, id?: UserId): void;
  forgetAccount(id: AccountId): void;
}

/** An active user, from the tenant's tables. */
export interface UserStanding {
  readonly email: string;
  readonly role: string;
  /** Permissions added by the user's custom roles. */
  readonly added: readonly string[];
  readonly accountId: AccountId | null;
  readonly sessionsValidFrom: Date;
  readonly apiKeys: readonly ApiKeyStanding[];
}

/** An API key that has not expired. */
export interface ApiKeyStanding {
  readonly id: string;
  readonly secretHash: Buffer;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970, or infinity. */
  readonly expiresAt: number;
}

/** An active account, from the control plane. */
export interface AccountStanding {
  readonly email: string;
  readonly platformAdmin: boolean;
  readonly sessionsValidFrom: Date;
}

/** @param validFrom the `sessions_valid_from` of a user, of the linked account, or of an account */
export const epochOf = (...validFrom: readonly Date[]): string =>
  validFrom.map((date) => date.getTime().toString(36)).join(".");

/** Whether an epoch includes the account's current one: as the account's own, or as a member's. */
export const isOfAccount = (epoch: string, accountEpoch: string): boolean =>
  epoch.split(".").at(-1) === accountEpoch;

export interface AuthorityOptions {
  readonly loadUser: (tenant: Tenant, id: UserId) => Promise<UserStanding | undefined>;
  readonly loadAccount: (id: AccountId) => Promise<AccountStanding | undefined>;
  readonly permissionsOf: (role: string, added: readonly string[]) => ReadonlySet<string>;
  readonly follow: FollowAnnouncements;
  /** The maximum of cached users, and of cached accounts. */
  readonly max?: number;
  readonly ttlMs?: number;
}

/** @see Authority */
export function createAuthority(options: AuthorityOptions): Authority {
  const { loadUser, loadAccount, permissionsOf, follow, max = 50_000, ttlMs = 30_000 } = options;
  const users = createLoadingCache<Member>({
    max,
    ttlMs,
    follow: ({ forget, forgetAll, clear }) =>
      follow({
        user: (tenantId, id) => forget(nameOf(tenantId, id)),
        users: (tenantId) => forgetAll(nameOf(tenantId)),
        erased: (tenantId) => forgetAll(nameOf(tenantId)),
        anything: clear,
      }),
  });
  const accounts = createLoadingCache<CorePrincipal>({
    max,
    ttlMs,
    follow: ({ forget, clear }) => follow({ account: forget, anything: clear }),
  });

  const askForUser = async (tenant: Tenant, id: UserId): Promise<Member | undefined> => {
    const standing = await loadUser(tenant, id);
    if (!standing) return undefined;
    const { email, role, added, accountId, sessionsValidFrom, apiKeys } = standing;
    const permissions = permissionsOf(role, added);
    const epoch = epochOf(sessionsValidFrom);
    const principal: TenantPrincipal = {
      kind: "tenant",
      id,
      tenantId: tenant.id,
      email,
      role,
      permissions,
      epoch,
    };
    return {
      principal: Object.freeze(principal),
      accountId,
      keys: new Map(apiKeys.map((key) => [key.id, narrowed(key, principal)])),
    };
  };

  const askForAccount = async (id: AccountId): Promise<CorePrincipal | undefined> => {
    const standing = await loadAccount(id);
    if (!standing) return undefined;
    const { email, platformAdmin, sessionsValidFrom } = standing;
    return Object.freeze({
      kind: "core",
      id,
      email,
      platformAdmin,
      epoch: epochOf(sessionsValidFrom),
    });
  };

  const findAccount = (id: AccountId) => accounts.find(id, () => askForAccount(id));

  const findMember = (tenant: Tenant, id: UserId) =>
    users.find(nameOf(tenant.id, id), () => askForUser(tenant, id));

  /** The member, combined with the current standing of their account. */
  const withAccount = (
    member: Member | undefined,
    principal = member?.principal,
  ): MaybePromise<TenantPrincipal | undefined> => {
    if (!member?.accountId || !principal) return principal;
    return chain(
      findAccount(member.accountId),
      (account) => account && { ...principal, epoch: `${principal.epoch}.${account.epoch}` },
    );
  };

  return {
    findUser: (tenant, id) => chain(findMember(tenant, id), (member) => withAccount(member)),
    findUserOfKey: (tenant, { id, userId, secret }) =>
      chain(findMember(tenant, userId), (member) => {
        const key = member?.keys.get(id);
        const good =
          key &&
          timingSafeEqual(key.secretHash, hashApiKeySecret(secret)) &&
          Date.now() < key.expiresAt;
        return good ? withAccount(member, key.principal) : undefined;
      }),
    findHolderOfKey: (tenant, userId, keyId) =>
      chain(findMember(tenant, userId), (member) => {
        const key = member?.keys.get(keyId);
        return key && Date.now() < key.expiresAt ? withAccount(member, key.principal) : undefined;
      }),
    findAccount,
    forgetUser: (tenantId, id) =>
      id === undefined ? users.forgetAll(nameOf(tenantId)) : users.forget(nameOf(tenantId, id)),
    forgetAccount: (id) => accounts.forget(id),
  };
}

/** Cache key; without a user's id, the prefix of all the tenant's users. */
const nameOf = (tenantId: TenantId, id = ""): string => `${tenantId}/${id}`;

/** A user's standing without their account's. */
interface Member {
  readonly principal: TenantPrincipal;
  readonly accountId: AccountId | null;
  readonly keys: ReadonlyMap<string, MemberKey>;
}

interface MemberKey {
  readonly secretHash: Buffer;
  readonly expiresAt: number;
  /** The member, restricted to the key's permissions. */
  readonly principal: TenantPrincipal;
}

function narrowed(
  { secretHash, expiresAt, scopes }: ApiKeyStanding,
  principal: TenantPrincipal,
): MemberKey {
  const permissions = new Set(scopes.filter((scope) => principal.permissions.has(scope)));
  return { secretHash, expiresAt, principal: Object.freeze({ ...principal, permissions }) };
}
