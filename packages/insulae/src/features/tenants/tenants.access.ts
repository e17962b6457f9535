import type { Principal } from "../../kernel/auth/principal.ts";
import { defineError } from "../../kernel/errors.ts";
import type { Platform } from "../../kernel/platform.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";

export const notPermitted = defineError("not_permitted", 403, "You are not permitted to do this");

export const isPlatformAdmin = (user: Principal | undefined): boolean =>
  user?.kind === "core" && user.platformAdmin;

/**
 * The tenant that somebody may see or manage: platform administrators any, accounts those they own,
 * users their own with the permission.
 *
 * @throws tenantNotFound, for a tenant that is none of the caller's business as for an unknown one
 */
export async function tenantFor(
  { tenants }: Platform,
  user: Principal,
  reference: string,
  permission: "tenants:read" | "tenants:manage",
): Promise<Tenant> {
  const tenant = await tenants.get(reference);
  if (isPlatformAdmin(user)) return tenant;
  if (user.kind === "core") {
    if (tenant.ownerAccountId === user.id) return tenant;
    throw tenantNotFound();
  }
  if (user.tenantId !== tenant.id) throw tenantNotFound();
  if (!user.permissions.has(permission)) throw notPermitted();
  return tenant;
}

/** What only platform administrators may decide, however somebody came by a tenant. */
export function refuseUnlessAdmin(user: Principal | undefined, ...wanted: unknown[]): void {
  if (wanted.some((value) => value !== undefined) && !isPlatformAdmin(user)) throw notPermitted();
}
