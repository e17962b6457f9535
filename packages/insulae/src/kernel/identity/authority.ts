/**
 * What somebody may do now. A token says what was true when it was signed; this says what is true
 * at present, from the tenant's users and the platform's accounts, and it wins: a demotion, a
 * deactivation or a deletion counts from the next request on.
 *
 * Answers are cached, so that an ordinary request waits for nothing. Changes are announced
 * (`user:<tenant>:<user>`, `users:<tenant>` when a custom role did, `account:<account>`) and the
 * nodes forget; should an announcement be lost, an answer is believed for half a minute at most, and
 * for a second while none can be heard.
 *
 * An API key is part of its maker's standing: it comes and goes with them, in the same query, under
 * the same announcement.
 *
 * A user who is linked to an account is as active as the account is. What ends all sessions of
 * somebody at once (another password, a log-out everywhere) is in here too, as their *epoch*: it is
 * made of the `sessions_valid_from` of the user and of the account, every session remembers the one
 * that it began in, and another one has ended it. Epochs are compared, never ordered, so no clock
 * has to agree with another, and a log-in that raced the change is over before it began.
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
  /** The user, or undefined if the tenant has no such user or the user is inactive. */
  findUser(tenant: Tenant, id: UserId): MaybePromise<TenantPrincipal | undefined>;
  /**
   * The user as whom the key acts: its maker, with those of the key's permissions that they have
   * themselves at present. Undefined if there is no such key, or no such active user.
   */
  findUserOfKey(tenant: Tenant, key: ApiKey): MaybePromise<TenantPrincipal | undefined>;
  /** The same for a key that is not shown: what is done on behalf of whoever showed it once. */
  findHolderOfKey(
    tenant: Tenant,
    userId: UserId,
    keyId: string,
  ): MaybePromise<TenantPrincipal | undefined>;
  /** The account, or undefined if there is none or it is inactive. */
  findAccount(id: AccountId): MaybePromise<CorePrincipal | undefined>;
  /** @param id without one: all users of the tenant */
  forgetUser(tenantId: TenantId, id?: UserId): void;
  forgetAccount(id: AccountId): void;
}

/** An active user, as the tenant's tables have it. */
export interface UserStanding {
  readonly email: string;
  readonly role: string;
  /** The permissions that the user's custom roles add. */
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

/** An active account, as the control plane has it. */
export interface AccountStanding {
  readonly email: string;
  readonly platformAdmin: boolean;
  readonly sessionsValidFrom: Date;
}

/** @param validFrom the `sessions_valid_from` of a user, of the linked account, or of an account */
export const epochOf = (...validFrom: readonly Date[]): string =>
  validFrom.map((date) => date.getTime().toString(36)).join(".");

/** Whether what began in an epoch began in this one of the account: the account's own or a member's. */
export const isOfAccount = (epoch: string, accountEpoch: string): boolean =>
  epoch.split(".").at(-1) === accountEpoch;

export interface AuthorityOptions {
  readonly loadUser: (tenant: Tenant, id: UserId) => Promise<UserStanding | undefined>;
  readonly loadAccount: (id: AccountId) => Promise<AccountStanding | undefined>;
  readonly permissionsOf: (role: string, added: readonly string[]) => ReadonlySet<string>;
  readonly follow: FollowAnnouncements;
  /** How many users, and how many accounts, are remembered. */
  readonly max?: number;
  readonly ttlMs?: number;
}

/** Who may do what at present. @see Authority */
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

  /** The member as they are while their account is as it is. */
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

/** Without a user's id, what the names of all the tenant's users begin with. */
const nameOf = (tenantId: TenantId, id = ""): string => `${tenantId}/${id}`;

/** What is known of a user apart from their account. */
interface Member {
  readonly principal: TenantPrincipal;
  readonly accountId: AccountId | null;
  readonly keys: ReadonlyMap<string, MemberKey>;
}

interface MemberKey {
  readonly secretHash: Buffer;
  readonly expiresAt: number;
  /** The member, with no more permissions than the key's. */
  readonly principal: TenantPrincipal;
}

function narrowed(
  { secretHash, expiresAt, scopes }: ApiKeyStanding,
  principal: TenantPrincipal,
): MemberKey {
  const permissions = new Set(scopes.filter((scope) => principal.permissions.has(scope)));
  return { secretHash, expiresAt, principal: Object.freeze({ ...principal, permissions }) };
}
