import type { Platform } from "../../kernel/feature/platform.ts";
import type { SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { findUser, type UserTables, type UserView } from "../users/users.feature.ts";
import { findAccount, listMemberships } from "./accounts.queries.ts";
import { summaryOf } from "./sign-in.ts";

/** The caller, their tenant and their permissions. */
export async function describeMe(
  platform: Platform,
  principal: Principal,
  tenant: Tenant | undefined,
  credential: SessionCredential,
) {
  if (principal.kind === "tenant" && tenant) {
    const { id, role, permissions } = principal;
    const user = await platform.withTenant<UserTables, UserView | undefined>(tenant, ({ db }) =>
      findUser.first(db, { id }),
    );
    if (!user) throw invalidToken();
    const impersonator =
      credential.impersonator && (await platform.authority.findAccount(credential.impersonator));
    return {
      user,
      tenant: summaryOf(tenant),
      role,
      permissions: [...permissions].sort(),
      ...(impersonator && { impersonator: { id: impersonator.id, email: impersonator.email } }),
    };
  }
  const found = await findAccount(platform.control, "id", principal.id);
  if (!found) throw invalidToken();
  const { password_hash: _hash, sessions_valid_from: _from, ...user } = found;
  const tenants = (await listMemberships(platform.control, user.id)).map(summaryOf);
  return { user, tenant: null, tenants, permissions: [] };
}
