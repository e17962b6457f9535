/**
 * Finds or creates the user for an external identity. A known identity is found by (issuer,
 * subject). The first sign-in goes by e-mail, which two different people may claim:
 *
 *     known identity ──► its user
 *     a user with this e-mail ──► that user, if the e-mail is proven on both sides
 *     nobody ──► a new user, if the provider may create users
 *
 * "Proven on both sides" means that the provider vouches for the address (or the tenant trusts it
 * for the domain) and that, here, the user has verified it or nobody can have signed in as them
 * yet. Otherwise an attacker could register the address with a password, wait for its owner to sign
 * in through the provider, and share the account (pre-registration hijacking).
 *
 * Owners, users with permissions beyond an administrator's, and users linked to an account can't
 * sign in through a tenant's provider: whoever configures it could become an owner, or enter all
 * tenants of the account. This also keeps a way in if the provider is gone.
 */

import type { OutsideIdentity } from "../../kernel/identity/oidc.ts";
import { isAtLeast, type Permissions } from "../../kernel/identity/permissions.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import { isLonger, nameProblem } from "../../kernel/lib/text.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import {
  createUserUnlessTaken,
  findStanding,
  findUser,
  type WithEvents,
} from "../users/users.feature.ts";
import {
  type Db,
  insertIdentity,
  lockUserOfEmail,
  lockUserOfIdentity,
  noteIdentityUse,
  type ProviderRow,
  setOwnRoles,
  setSystemRole,
  setVerified,
  takeTurn,
} from "./identity-providers.queries.ts";
import { mapRoles } from "./role-mapping.ts";

export const outsideEmailUnverified = defineError(
  "outside_email_unverified",
  403,
  "The identity provider does not confirm your e-mail address. Verify it there, then sign in again.",
);
export const emailDomainRefused = defineError(
  "email_domain_refused",
  403,
  "Your e-mail address is not in a domain that can sign in here",
);
export const noSuchUser = defineError(
  "no_such_user",
  403,
  "No user here has your e-mail address. Ask for an invitation.",
);
export const linkRefused = defineError(
  "link_refused",
  403,
  "A user with your e-mail address exists, and has not verified it. Verify it, or reset the password by e-mail, then sign in again.",
);
export const identityConflict = defineError(
  "identity_conflict",
  403,
  "The user with your e-mail address is linked to another identity at this provider. Ask an administrator to unlink it.",
);
export const ownWayOnly = defineError(
  "own_way_only",
  403,
  "Owners, users with an owner's permissions, and users with a platform account must sign in with their own password",
);
export const userInactive = defineError(
  "user_inactive",
  403,
  "Your user is deactivated. Ask an administrator of the tenant.",
);

interface EntryDeps extends WithEvents {
  readonly db: Db;
  readonly permissions: Permissions;
}

export interface Entry {
  readonly userId: UserId;
  /** Whether this first sign-in created the user or linked an existing one. */
  readonly first: "made" | "linked" | undefined;
  readonly rolesChanged: boolean;
}

/**
 * @throws outsideEmailUnverified, emailDomainRefused, noSuchUser, linkRefused, identityConflict,
 *   ownWayOnly, userInactive
 */
export async function enter(
  { db, permissions, events }: EntryDeps,
  provider: ProviderRow,
  who: OutsideIdentity,
): Promise<Entry> {
  const email = acceptedEmail(provider, who);
  const roles = mapRoles(provider, who.claims);
  return db.transaction().execute(async (tx) => {
    await takeTurn(tx, email);
    const known = await lockUserOfIdentity(tx, who.issuer, who.subject);
    const { id: userId, first } = known
      ? { id: known.id, first: undefined }
      : await enterFirst(tx, { provider, who, email, role: roles.system });
    const rolesChanged = first === "made" || provider.update_roles;
    if (rolesChanged) {
      await setSystemRole(tx, userId, roles.system);
      await setOwnRoles(tx, userId, roles.own);
    }
    // Check the roles' current permissions: a role may have grown since it was mapped.
    await refuseUnfit(tx, userId, permissions);
    await noteIdentityUse(tx, who.issuer, who.subject);
    const user =
      first === "made" && (await findUser.first(tx.$pickTables<"users">(), { id: userId }));
    if (user) await events.record("user.created", user, tx);
    return { userId, first, rolesChanged };
  });
}

interface Newcomer {
  readonly provider: ProviderRow;
  readonly who: OutsideIdentity;
  readonly email: string;
  readonly role: string;
}

async function enterFirst(tx: Db, { provider, who, email, role }: Newcomer) {
  const made =
    provider.create_users &&
    (await createUserUnlessTaken(tx.$pickTables<"users">(), {
      email,
      role,
      email_verified: true,
      ...namesIn(who.claims),
    }));
  const user = await lockUserOfEmail(tx, email);
  if (!user) throw noSuchUser();
  if (!user.email_verified && (user.password_hash !== null || user.has_identity)) {
    throw linkRefused();
  }
  const { issuer, subject } = who;
  if (!(await insertIdentity(tx, { user_id: user.id, issuer, subject }))) {
    // A concurrent first sign-in may have linked the identity already.
    const now = await lockUserOfIdentity(tx, issuer, subject);
    if (now?.id !== user.id) throw identityConflict();
  }
  if (!user.email_verified) await setVerified(tx, user.id);
  return { id: user.id, first: made ? ("made" as const) : ("linked" as const) };
}

/** @throws userInactive, ownWayOnly */
async function refuseUnfit(tx: Db, id: UserId, permissions: Permissions): Promise<void> {
  const standing = await findStanding(tx.$pickTables<"users">(), id);
  if (!standing) throw userInactive();
  const { role, added, accountId } = standing;
  const most = permissions.of("admin");
  const isMore = [...permissions.of(role, added)].some((name) => !most.has(name));
  if (accountId !== null || isMore || !isAtLeast("admin", role)) throw ownWayOnly();
}

/**
 * The canonical address. The rules apply at every sign-in, so removing a domain from the list also
 * locks out its existing users.
 *
 * @throws outsideEmailUnverified, emailDomainRefused
 */
function acceptedEmail(provider: ProviderRow, { email }: OutsideIdentity): string {
  const { address, verified } = email;
  const canonical = typeof address === "string" ? findCanonicalEmail(address) : undefined;
  if (canonical === undefined) throw outsideEmailUnverified();
  const domain = canonical.slice(canonical.lastIndexOf("@") + 1);
  const listed = provider.allowed_domains.includes(domain);
  if (provider.allowed_domains.length > 0 && !listed) throw emailDomainRefused();
  // The standard demands a boolean. Treat the text "true", which some send, like a missing claim.
  const unsaid = verified === undefined || verified === "true";
  const vouched = verified === true || (unsaid && provider.trust_email && listed);
  if (!vouched) throw outsideEmailUnverified();
  return canonical;
}

/** First and last name; some providers send only the full name. */
function namesIn({ given_name, family_name, name }: OutsideIdentity["claims"]) {
  const [first_name, last_name] = [nameIn(given_name), nameIn(family_name)];
  return { first_name: first_name || last_name ? first_name : nameIn(name), last_name };
}

/** The claim if it is a valid name, otherwise empty. */
const nameIn = (claim: unknown): string =>
  typeof claim === "string" && !isLonger(claim, 100) && nameProblem(claim) === undefined
    ? claim.trim()
    : "";
