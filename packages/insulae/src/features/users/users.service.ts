/**
 * The rules about users. Nobody may grant, change or revoke a role above their own, or a permission
 * that they don't hold: changing the e-mail of somebody more powerful would allow taking them over.
 * And a tenant keeps at least one active owner.
 */
import type { Kysely } from "kysely";
import type { Audit } from "../../kernel/audit/audit.ts";
import type { Events } from "../../kernel/feature/events.ts";
import type { SystemRole } from "../../kernel/feature/feature.ts";
import type { Passwords } from "../../kernel/identity/passwords.ts";
import { isAtLeast, type Permissions } from "../../kernel/identity/permissions.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { quotaExceededBy } from "../../kernel/tenancy/plans.ts";
import { canonicalEmail } from "../../kernel/validation/email.ts";
import { verificationMail } from "./mails.ts";
import { canonicalUsername } from "./username.ts";
import {
  createUser,
  deleteUser,
  findHindrances,
  lockUserAndOwners,
  type UserTables,
  updateUser,
} from "./users.queries.ts";

export const userNotFound = defineError("user_not_found", 404, "There is no such user");
export const emailTaken = defineError(
  "email_taken",
  409,
  "This e-mail address is already in use. Use another.",
);
export const usernameTaken = defineError(
  "username_taken",
  409,
  "Another user has this username. Choose another.",
);
export const roleAboveOwn = defineError(
  "role_above_own",
  403,
  "You cannot grant, change or revoke a role above your own. Ask someone with a higher role.",
);
export const permissionNotHeld = defineError(
  "permission_not_held",
  403,
  "You cannot grant, change or revoke a permission that you do not have. Ask someone who has it.",
);
export const lastOwner = defineError(
  "last_owner",
  409,
  "A tenant needs at least one active owner. Make another user an owner first.",
);
export const ownsTenant = defineError(
  "owns_tenant",
  409,
  "This account owns the tenant. Transfer the tenant to another user first.",
);

type Db = Kysely<UserTables>;
export type Actor = Pick<TenantPrincipal, "role" | "permissions">;

/** The context of the rules: the tenant's rows, the declared permissions, and the actor. */
export interface UserDeps<Tables = UserTables> {
  readonly db: Kysely<Tables>;
  readonly permissions: Permissions;
  readonly user: Actor;
  readonly audit: Audit;
}

/** Publishes events about users. */
export interface WithEvents {
  readonly events: Pick<Events<UserTables>, "record">;
}

/** The users' tenant, for rules about its owning account. */
export interface Owned {
  readonly tenant: Pick<Tenant, "ownerAccountId">;
}

interface Services {
  readonly events: Events<UserTables>;
  readonly passwords: Passwords;
  readonly mail: TenantMail;
  /** Counts the tenant's daily usage. @throws quota_exceeded */
  readonly countUsage: (metric: "notifications") => void;
  readonly tenant: Pick<Tenant, "plan">;
  /** The maximum number of users of the tenant. */
  readonly quota: (name: "users") => number | undefined;
}

export interface NewUser {
  readonly email: string;
  readonly username?: string | null | undefined;
  /** Without a password, the user can't log in yet. */
  readonly password?: string | undefined;
  readonly first_name?: string | undefined;
  readonly last_name?: string | undefined;
  /** Default `user`. */
  readonly role?: SystemRole | undefined;
}

export interface UserChanges extends Omit<Partial<NewUser>, "password"> {
  readonly is_active?: boolean | undefined;
}

/**
 * @throws roleAboveOwn, permissionNotHeld, emailTaken, usernameTaken, invalidEmail,
 * invalidUsername,
 *   weakPassword; quotaExceeded, also if the tenant may send no more e-mails today
 */
export async function addUser(
  deps: UserDeps & Services,
  { password, role = "user", ...fields }: NewUser,
) {
  const { events, mail, passwords } = deps;
  refuseRole(deps, role);
  const user = { ...canonical(fields), email: canonicalEmail(fields.email), role };
  // A hash costs a hundred times as much as a query, so check first whether the insert would fail.
  if (password !== undefined) await refuseUnmakeable(deps, user);
  deps.countUsage("notifications");
  const passwordHash = password === undefined ? null : await passwords.hash(password);
  const made = await events.recording("user.created", (db) =>
    createUser.jsonOrThrow(db, { ...user, password_hash: passwordHash }),
  );
  await mail.send(verificationMail, { to: user.email, variables: {} });
  return made;
}

/** @throws emailTaken, usernameTaken, quotaExceeded, as the insert would later */
async function refuseUnmakeable(
  { db, tenant, quota }: Pick<UserDeps & Services, "db" | "tenant" | "quota">,
  { email, username }: Pick<NewUser, "email" | "username">,
): Promise<void> {
  const limit = quota("users");
  const found = await findHindrances(db, { email, username: username ?? null, limit: limit ?? 0 });
  if (found.email) throw emailTaken();
  if (found.username) throw usernameTaken();
  if (limit !== undefined && found.full) {
    throw quotaExceededBy({ quota: "users", limit, plan: tenant.plan });
  }
}

export interface ChangedUser {
  readonly changed: Awaited<ReturnType<typeof updateUser.jsonOrThrow>>;
  /** Set if the e-mail has changed; both addresses are to be notified. */
  readonly moved?: { readonly from: string; readonly to: string };
}

/**
 * @throws userNotFound, roleAboveOwn, permissionNotHeld, lastOwner, ownsTenant, invalidEmail,
 *   invalidUsername
 */
export async function changeUser(
  { db, tenant, permissions, user: actor, audit, events }: UserDeps & WithEvents & Owned,
  id: UserId,
  changes: UserChanges,
): Promise<ChangedUser> {
  const values = canonical(changes);
  return db.transaction().execute(async (tx) => {
    const { user, isLastOwner } = await lock(tx, id);
    refuseRole({ permissions, user: actor }, user.role, user.added);
    if (changes.role !== undefined) refuseRole({ permissions, user: actor }, changes.role);
    const { role = user.role, is_active = user.is_active } = changes;
    if (isLastOwner && !(role === "owner" && is_active)) throw lastOwner();
    const isDemoted = role !== user.role && role !== "owner";
    if (isDemoted || (user.is_active && !is_active)) refuseOwningAccount(tenant, user);
    // A new address has to be verified again.
    const moved = values.email !== undefined && values.email !== user.email;
    const changed = await updateUser.jsonOrThrow(tx, {
      ...values,
      ...(moved && { email_verified: false }),
      id,
    });
    await events.record("user.updated", changed, tx);
    const detail = {
      changed: Object.keys(changes),
      ...(role !== user.role && { role: { from: user.role, to: role } }),
      ...(moved && { email: { from: user.email, to: values.email } }),
      ...(is_active !== user.is_active && { is_active }),
    };
    await audit({ action: "user.changed", target: { type: "user", id }, detail }, tx);
    return { changed, ...(moved && { moved: { from: user.email, to: values.email ?? "" } }) };
  });
}

/** @throws userNotFound, roleAboveOwn, permissionNotHeld, lastOwner, ownsTenant */
export async function removeUser(
  { db, tenant, permissions, user: actor, audit, events }: UserDeps & WithEvents & Owned,
  id: UserId,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { user, isLastOwner } = await lock(tx, id);
    refuseRole({ permissions, user: actor }, user.role, user.added);
    if (isLastOwner) throw lastOwner();
    refuseOwningAccount(tenant, user);
    await deleteUser.all(tx, { id });
    await events.record("user.deleted", { id }, tx);
    const detail = { email: user.email, role: user.role };
    await audit({ action: "user.deleted", target: { type: "user", id }, detail }, tx);
  });
}

/**
 * Deletes a user at their own request, which needs no permission. An inactive user can't: deleting
 * and registering again would undo the deactivation.
 *
 * @throws userNotFound, lastOwner
 */
export async function removeThemself(
  { db, events }: Pick<UserDeps, "db"> & WithEvents,
  id: UserId,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { user, isLastOwner } = await lock(tx, id);
    if (!user.is_active) throw userNotFound();
    if (isLastOwner) throw lastOwner();
    await deleteUser.all(tx, { id });
    await events.record("user.deleted", { id }, tx);
  });
}

/**
 * Makes one user an owner and demotes the previous one to admin, in one transaction. Idempotent.
 *
 * @returns false if the new owner does not exist or is inactive, or if `from` must be an owner
 *   (`mustOwn`) and is not. After an earlier attempt that changed both roles, `from` is an admin
 *   and the new owner an owner already; that is accepted too.
 */
export function transferOwnership(
  { db, events }: Pick<UserDeps, "db"> & WithEvents,
  { from, to, mustOwn }: { from: UserId | undefined; to: UserId; mustOwn: boolean },
): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const found = await lockUserAndOwners(tx, to);
    const heir = found.find(({ id, is_active }) => id === to && is_active);
    if (!heir) return false;
    const giver = found.find(
      ({ id, role, is_active }) => id === from && role === "owner" && is_active,
    );
    if (mustOwn && !giver && heir.role !== "owner") return false;
    const changed = [
      ...(await updateUser.all(tx, { id: to, role: "owner" })),
      ...(giver ? await updateUser.all(tx, { id: giver.id, role: "admin" }) : []),
    ];
    for (const user of changed) await events.record("user.updated", user, tx);
    return true;
  });
}

/**
 * Locks the user and all owners, and determines whether the user is the last active owner. If two
 * owners remove each other, the second waits here and then is the last.
 */
async function lock(tx: Db, id: UserId) {
  const rows = await lockUserAndOwners(tx, id);
  const user = rows.find((row) => row.id === id);
  if (!user) throw userNotFound();
  const owners = rows.filter(({ role, is_active }) => role === "owner" && is_active);
  return { user, isLastOwner: owners.length === 1 && owners[0] === user };
}

/**
 * Otherwise the account would keep managing the tenant from outside, and nobody inside could stop
 * it.
 */
function refuseOwningAccount(
  { ownerAccountId }: Owned["tenant"],
  { account_id }: { readonly account_id: AccountId | null },
): void {
  if (account_id !== null && account_id === ownerAccountId) throw ownsTenant();
}

/**
 * Refuses an actor who is less powerful than a user with the role and the permissions that own
 * roles add. An unknown role counts as above everybody's.
 *
 * @throws roleAboveOwn, permissionNotHeld
 */
export function refuseRole(
  { permissions, user }: Pick<UserDeps, "permissions" | "user">,
  role: string,
  added: readonly string[] = [],
): void {
  if (!isAtLeast(user.role, role)) throw roleAboveOwn();
  refuseUnheld(user, permissions.of(role, added));
}

/** @throws permissionNotHeld unless the actor holds them all */
export function refuseUnheld(user: Actor, wanted: Iterable<string>): void {
  for (const name of wanted) {
    if (!user.permissions.has(name)) throw permissionNotHeld({ members: { permission: name } });
  }
}

/**
 * The user, locked until the transaction ends, if the actor may act on them.
 *
 * @throws userNotFound, roleAboveOwn, permissionNotHeld
 */
export async function lockInferior(
  { db, permissions, user: actor }: Omit<UserDeps, "audit">,
  id: UserId,
): Promise<void> {
  const { user } = await lock(db, id);
  refuseRole({ permissions, user: actor }, user.role, user.added);
}

/** The fields in the form in which they are stored; absent ones stay absent. */
function canonical({ email, username, ...others }: UserChanges) {
  return {
    ...others,
    ...(email !== undefined && { email: canonicalEmail(email) }),
    ...(username !== undefined && { username: username && canonicalUsername(username) }),
  };
}
