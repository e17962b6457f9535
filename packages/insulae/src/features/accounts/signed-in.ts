/** What somebody who has proved who they are is given: a token for one context, and a look around. */
import type { Static } from "typebox";
import type { Platform } from "../../kernel/platform.ts";
import type { Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import { findUser, type UserTables, type UserView } from "../users/users.feature.ts";
import { type AccountView, listMemberships } from "./accounts.queries.ts";
import type { SignedIn } from "./accounts.schemas.ts";

// Times are dates here and text on the wire.
export type SignedInReply = Omit<Static<typeof SignedIn>, "user"> & {
  readonly user: UserView | AccountView;
};

/** Undefined if the user is not active. */
export async function signInUser(
  platform: Platform,
  tenant: Tenant,
  user: UserView,
): Promise<SignedInReply | undefined> {
  const principal = await platform.authority.findUser(tenant, user.id);
  if (!principal) return undefined;
  const { role, permissions } = principal;
  const subject = { userId: user.id, tenantId: tenant.id, role, permissions };
  return reply(platform, await platform.tokens.sign(subject), user, summaryOf(tenant));
}

/** The user that an account is in a tenant; undefined if that user is gone or not active. */
export async function signInMember(
  platform: Platform,
  tenant: Tenant,
  userId: UserId,
): Promise<SignedInReply | undefined> {
  const user = await platform.withTenant<UserTables, UserView | undefined>(tenant, ({ db }) =>
    findUser.first(db, { id: userId }),
  );
  return user && signInUser(platform, tenant, user);
}

/** For the core, with the tenants that the account may switch to. */
export async function signInAccount(
  platform: Platform,
  account: AccountView,
): Promise<SignedInReply> {
  const [token, memberships] = await Promise.all([
    platform.tokens.sign({ accountId: account.id, isOwner: account.is_owner }),
    listMemberships(platform.control, account.id),
  ]);
  return { ...reply(platform, token, account, null), tenants: memberships.map(summaryOf) };
}

const reply = (
  { tokens }: Platform,
  token: string,
  user: UserView | AccountView,
  tenant: SignedInReply["tenant"],
): SignedInReply => ({
  token,
  access_token: token,
  token_type: "bearer",
  expires_in: tokens.accessTtlSeconds,
  user,
  tenant,
});

export const summaryOf = ({
  id,
  key,
  slug,
  number,
  name,
}: Pick<Tenant, "id" | "key" | "slug" | "name"> & { readonly number: number | string }) => ({
  id,
  key,
  slug,
  number: Number(number),
  name,
});
