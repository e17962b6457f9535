import type { Platform } from "../../kernel/feature/platform.ts";
import { permissionDenied } from "../../kernel/identity/errors.ts";
import type { CorePrincipal, Principal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { isolations, type Tenant } from "../../kernel/model/tenant.ts";
import { tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { canonicalTenantKey, reservedTenantKey, slugOf } from "../../kernel/tenancy/tenant-key.ts";
import type { NewTenant } from "../../kernel/tenancy/tenants.ts";
import {
  hasProvider,
  type IdentityTables,
} from "../identity-providers/identity-providers.feature.ts";
import {
  createOwnerUser,
  findActiveUserOf,
  isRegistrationOpen,
  isVerificationRequired,
  refuseRole,
} from "../users/users.feature.ts";

export const isolationNotPermitted = defineError(
  "isolation_not_permitted",
  403,
  "The tenant's plan does not allow this isolation. Ask a platform administrator.",
);

export const noOtherWayIn = defineError(
  "no_other_way_in",
  409,
  "Without passwords nobody but owners could sign in. Set up an identity provider or a passkey first.",
);

export const isPlatformAdmin = (user: Principal | undefined): boolean =>
  user?.kind === "core" && user.platformAdmin;

/**
 * The tenant, if the caller may see or manage it: platform administrators any tenant, accounts
 * those that they own and are an active owner in, users their own if they have the permission.
 *
 * @throws tenantNotFound, whether the tenant is unknown or not the caller's
 */
export async function tenantFor(
  platform: Platform,
  user: Principal,
  reference: string,
  permission: "tenants:read" | "tenants:manage" | "usage:read",
): Promise<Tenant> {
  const tenant = await platform.tenants.get(reference);
  if (isPlatformAdmin(user)) return tenant;
  if (user.kind === "core") {
    const isOwned = tenant.ownerAccountId === user.id;
    // An account that was demoted or deactivated in the tenant can't manage it from outside.
    const own = isOwned ? await findActiveUserOf(platform, tenant, user.id) : undefined;
    if (own?.role === "owner") return tenant;
    throw tenantNotFound();
  }
  if (user.tenantId !== tenant.id) throw tenantNotFound();
  if (!user.permissions.has(permission)) {
    throw permissionDenied({
      detail: `You need the permission ${permission}.`,
      members: { permission },
    });
  }
  return tenant;
}

/** Refuses settings that only platform administrators may change. */
export function refuseUnlessAdmin(user: Principal | undefined, ...wanted: unknown[]): void {
  if (wanted.every((value) => value === undefined) || isPlatformAdmin(user)) return;
  throw permissionDenied({
    detail: "Only platform administrators can set plan, server, hosts and limits.",
    members: { permission: "platform" },
  });
}

/**
 * @param tenant the current tenant; undefined: it does not exist yet and has no other way to sign
 * in
 * @throws noOtherWayIn if password log-in would be disabled and nothing else is set up
 */
export async function refuseLockOut(
  { control, withTenant }: Platform,
  tenant: Tenant | undefined,
  { password_login: wanted }: Record<string, unknown> = {},
): Promise<void> {
  if (wanted !== "off" || tenant?.settings.password_login === "off") return;
  if (!tenant) throw noOtherWayIn();
  if (await withTenant<IdentityTables, boolean>(tenant, ({ db }) => hasProvider(db))) return;
  const passkey = await control
    .selectFrom("control.factors")
    .select("id")
    .where("tenant_id", "=", tenant.id)
    .where("kind", "=", "passkey")
    .limit(1)
    .executeTakeFirst();
  if (!passkey) throw noOtherWayIn();
}

/**
 * Opening registration, or asking less of people who register or sign in, gives others what a user
 * may do. The caller must hold these permissions themselves.
 *
 * @throws roleAboveOwn, permissionNotHeld
 */
export function refuseGivingMore(
  { config, permissions }: Pick<Platform, "config" | "permissions">,
  user: Principal,
  before: Tenant,
  settings: Readonly<Record<string, unknown>>,
): void {
  // Platform administrators and owning accounts hold every permission.
  if (user.kind === "core") return;
  const now = waysIn(config, before);
  const wanted = waysIn(config, { settings });
  if (wanted.some((isWay, at) => isWay && !now[at])) refuseRole({ permissions, user }, "user");
}

/** The settings that make it easier to become a user, as flags. */
const waysIn = (
  config: Platform["config"],
  tenant: Pick<Tenant, "settings">,
): readonly boolean[] => [
  isRegistrationOpen(config, tenant),
  !isVerificationRequired(config, tenant),
  tenant.settings.password_login !== "off",
  tenant.settings.second_factor !== "required",
];

/**
 * Creates a tenant. In development anybody may; in production only an account, which then owns the
 * tenant and is its first user. What costs the installation resources is limited except for
 * platform administrators: the number of tenants per account, and the isolation.
 *
 * @throws permissionDenied, isolationNotPermitted, noOtherWayIn, and the errors of `Tenants.create`
 */
export async function makeTenant(
  { platform, user }: { readonly platform: Platform; readonly user: CorePrincipal | undefined },
  wanted: Omit<NewTenant, "ownerAccountId" | "ownerLimit">,
): Promise<Tenant> {
  const { config, tenants } = platform;
  if (config.env === "production") {
    if (!user) {
      throw permissionDenied({
        detail:
          "In production only an account can create a tenant. Register one, or sign in to yours.",
      });
    }
    refuseUnlessAdmin(user, wanted.plan, wanted.server, wanted.hosts, wanted.settings?.limits);
    if (!isPlatformAdmin(user)) refuseDefaultKey(wanted.key, config.defaultTenant);
  }
  if (!isPlatformAdmin(user)) refuseFarIsolation(config, wanted);
  await refuseLockOut(platform, undefined, wanted.settings);
  const ownerLimit = isPlatformAdmin(user) ? 0 : config.tenantsPerAccount;
  return tenants.create(
    { ...wanted, ...(user && { ownerAccountId: user.id, ownerLimit }) },
    user && ((created) => createOwnerUser(platform, created, user)),
  );
}

/** The tenant with this key gets every request that names no tenant. @throws reservedTenantKey */
function refuseDefaultKey(wanted: string, defaultTenant: string | undefined): void {
  const isIt = defaultTenant && slugOf(canonicalTenantKey(wanted)) === slugOf(defaultTenant);
  if (isIt) throw reservedTenantKey();
}

/** @throws isolationNotPermitted if the plan does not include this isolation */
function refuseFarIsolation(
  { planIsolations, defaultPlan }: Platform["config"],
  { isolation = "pool", plan = defaultPlan }: Pick<NewTenant, "isolation" | "plan">,
): void {
  const known = new Map(Object.entries(planIsolations));
  const farthest = known.get(plan) ?? known.get("free") ?? "pool";
  if (isolations.indexOf(isolation) <= isolations.indexOf(farthest)) return;
  throw isolationNotPermitted({
    detail: `The plan ${plan} allows isolation up to ${farthest}, not ${isolation} (PLAN_ISOLATIONS).`,
    members: { plan, isolation: farthest },
  });
}
