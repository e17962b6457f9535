/**
 * What somebody may do now. A token says what was true when it was signed; this says what is true
 * at present, from the tenant's users and the platform's accounts, and it wins: a demotion, a
 * deactivation or a deletion counts from the next request on.
 *
 * Answers are cached, so that an ordinary request waits for nothing. Changes are announced
 * (`user:<tenant>:<user>`, `users:<tenant>` when a custom role did,
 * `account:<account>`) and the nodes forget; should an announcement be
 * lost, an answer is believed for half a minute at most, and for a second while none can be heard.
 *
 * A user who is linked to an account is as active as the account is. What ends all sessions of
 * somebody at once (another password, a log-out everywhere) is in here too, as their *epoch*: it is
 * made of the `sessions_valid_from` of the user and of the account, every session remembers the one
 * that it began in, and another one has ended it. Epochs are compared, never ordered, so no clock
 * has to agree with another, and a log-in that raced the change is over before it began.
 */
import { createAnswers } from "../answers.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { AccountId, Tenant, TenantId, UserId } from "../tenancy/tenant.ts";
import type { CorePrincipal, TenantPrincipal } from "./principal.ts";

export interface Authority {
  /** The user, or undefined if the tenant has no such user or the user is inactive. */
  findUser(tenant: Tenant, id: UserId): MaybePromise<TenantPrincipal | undefined>;
  /** The account, or undefined if there is none or it is inactive. */
  findAccount(id: AccountId): MaybePromise<CorePrincipal | undefined>;
  /** @param id without one: all users of the tenant */
  forgetUser(tenantId: TenantId, id?: UserId): void;
  forgetAccount(id: AccountId): void;
  forgetAll(): void;
}

/** An active user, as the tenant's tables have it. */
export interface UserStanding {
  readonly email: string;
  readonly role: string;
  /** The permissions that the user's custom roles add. */
  readonly added: readonly string[];
  readonly accountId: AccountId | null;
  readonly sessionsValidFrom: Date;
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
  const users = createAnswers<Member>(max, ttl);
  const accounts = createAnswers<CorePrincipal>(max, ttl);

  const askForUser = async (tenant: Tenant, id: UserId): Promise<Member | undefined> => {
    const standing = await loadUser(tenant, id);
    if (!standing) return undefined;
    const { email, role, added, accountId, sessionsValidFrom } = standing;
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
    return { principal: Object.freeze(principal), accountId };
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

  /** The member as they are while their account is as it is. */
  const withAccount = (member: Member | undefined): MaybePromise<TenantPrincipal | undefined> => {
    if (!member?.accountId) return member?.principal;
    const { principal } = member;
    return chain(
      findAccount(member.accountId),
      (account) => account && { ...principal, epoch: `${principal.epoch}.${account.epoch}` },
    );
  };

  return {
    findUser: (tenant, id) =>
      chain(
        users.find(`${tenant.id}/${id}`, () => askForUser(tenant, id)),
        withAccount,
      ),
    findAccount,
    forgetUser: (tenantId, id) =>
      id === undefined ? users.forgetAll(`${tenantId}/`) : users.forget(`${tenantId}/${id}`),
    forgetAccount: (id) => accounts.forget(id),
    forgetAll() {
      users.clear();
      accounts.clear();
    },
  };
}

/** What is known of a user apart from their account. */
interface Member {
  readonly principal: TenantPrincipal;
  readonly accountId: AccountId | null;
}
