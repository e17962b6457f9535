/**
 * A tenant's providers. Who configures one decides whom it is believed about, and so could become
 * anybody who signs in by it: only owners and administrators do, in person. For the same reason owners
 * don't sign in by one (see linking.ts), and it gives nobody more than an administrator has.
 */

import { type OidcClient, providerFaulty } from "../../kernel/identity/oidc.ts";
import { isAtLeast, type Permissions } from "../../kernel/identity/permissions.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { AppError, defineError } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import { findOwnRole, roleNotFound } from "../roles/roles.feature.ts";
import {
  type Db,
  deleteProvider,
  insertProvider,
  listProviders,
  lockProvider,
  type ProviderRow,
  type ProviderValues,
  updateProvider,
} from "./identity-providers.queries.ts";
import type { NewProviderBody, ProviderChangesBody } from "./identity-providers.schemas.ts";
import { isSystemRole, type RoleMapping } from "./role-mapping.ts";

export const providerNotFound = defineError(
  "identity_provider_not_found",
  404,
  "There is no such identity provider",
);
export const tooManyProviders = defineError(
  "too_many_identity_providers",
  409,
  "A tenant can have at most 20 identity providers. Delete one first.",
);
export const issuerUnusable = defineError(
  "issuer_unusable",
  400,
  "No OpenID Connect provider with this issuer was found at this address. Check the issuer's URL.",
);
export const domainsRequired = defineError(
  "domains_required",
  400,
  "trust_email needs allowed_domains. Name the e-mail domains that the provider is trusted for.",
);
export const invalidEmailDomain = defineError(
  "invalid_email_domain",
  400,
  "allowed_domains has an invalid name. Use domains such as example.com.",
);
export const administratorsOnly = defineError(
  "administrators_only",
  403,
  "Only owners and administrators can configure identity providers",
);
export const ownerNotMapped = defineError(
  "owner_not_mapped",
  400,
  "An identity provider cannot grant the owner role, nor permissions that administrators lack. Map another role.",
);

const maxProviders = 20;

export interface ProviderSetting {
  readonly db: Db;
  readonly tenant: Tenant;
  readonly user: Pick<TenantPrincipal, "role">;
  readonly permissions: Permissions;
  readonly oidc: OidcClient;
}

const defaults = {
  scopes: ["openid", "email", "profile"],
  allowed_domains: [],
  trust_email: false,
  create_users: false,
  default_role: "user",
  role_mapping: null,
  update_roles: false,
  trust_second_factor: false,
  second_factor_acr: [],
  enabled: true,
} as const;

/** @throws whatever `checked` throws; tooManyProviders, issuerUnusable, providerUnavailable */
export async function addProvider(
  setting: ProviderSetting,
  { client_secret, ...body }: NewProviderBody,
): Promise<ProviderRow> {
  const { db, oidc, tenant } = setting;
  const wanted = await checked(setting, { ...defaults, ...body });
  // Nobody is asked for one that there is no room for; what counts is the count below.
  if ((await listProviders(db)).length >= maxProviders) throw tooManyProviders();
  const issuer = await discovered(oidc, body.issuer);
  const sealed_secret = oidc.seal(tenant.id, client_secret);
  return db.transaction().execute(async (tx) => {
    await refuseBeyond(tx, "identity_providers", maxProviders, tooManyProviders);
    return insertProvider(tx, { ...wanted, issuer, sealed_secret });
  });
}

/**
 * What comes of the change is checked as a whole, so that nobody takes over what they could not have
 * made: with another issuer, a mapping means other people.
 *
 * @param seen may refuse what there is before the change.
 * @throws whatever `checked` throws; providerNotFound, issuerUnusable, providerUnavailable
 */
export async function changeProvider(
  setting: ProviderSetting,
  id: string,
  { client_secret, ...changes }: ProviderChangesBody,
  seen: (current: ProviderRow) => void,
): Promise<ProviderRow> {
  const { db, oidc, tenant } = setting;
  // Asked before the row is locked: nobody waits for another's provider.
  const issuer = changes.issuer && (await discovered(oidc, changes.issuer));
  return db.transaction().execute(async (tx) => {
    const before = await lockProvider(tx, id);
    if (!before) throw providerNotFound();
    seen(before);
    const { sealed_secret, created_at, updated_at, id: _id, ...settings } = before;
    const wanted = await checked({ ...setting, db: tx }, { ...settings, ...changes });
    return updateProvider(tx, id, {
      ...wanted,
      ...(issuer && { issuer }),
      ...(client_secret && { sealed_secret: oidc.seal(tenant.id, client_secret) }),
    });
  });
}

/** @param seen may refuse it. @throws administratorsOnly, providerNotFound */
export function removeProvider(
  setting: ProviderSetting,
  id: string,
  seen: (current: ProviderRow) => void,
): Promise<ProviderRow> {
  refuseUnlessAdministrator(setting);
  return setting.db.transaction().execute(async (tx) => {
    const before = await lockProvider(tx, id);
    if (!before) throw providerNotFound();
    seen(before);
    await deleteProvider(tx, id);
    return before;
  });
}

/** @throws administratorsOnly */
function refuseUnlessAdministrator({ user }: Pick<ProviderSetting, "user">): void {
  if (!isAtLeast(user.role, "admin")) throw administratorsOnly();
}

type Settings = Omit<ProviderRow, "id" | "sealed_secret" | "created_at" | "updated_at">;

/**
 * The settings as they are stored.
 *
 * @throws administratorsOnly, domainsRequired, invalidEmailDomain, ownerNotMapped, roleNotFound
 */
async function checked(
  setting: ProviderSetting,
  wanted: { readonly [K in keyof Settings]: Settings[K] | Readonly<Settings[K]> },
): Promise<Omit<ProviderValues, "sealed_secret">> {
  refuseUnlessAdministrator(setting);
  const domains = [...new Set(wanted.allowed_domains.map(canonicalDomain))];
  if (wanted.trust_email && domains.length === 0) throw domainsRequired();
  for (const { role } of wanted.role_mapping?.values ?? []) await refuseUnmappable(setting, role);
  return {
    ...wanted,
    name: wanted.name.trim(),
    scopes: [...new Set(["openid", ...wanted.scopes])],
    second_factor_acr: [...wanted.second_factor_acr],
    allowed_domains: domains,
    role_mapping: wanted.role_mapping && JSON.stringify(canonicalMapping(wanted.role_mapping)),
  };
}

/** As the domain of an e-mail is written here. */
function canonicalDomain(domain: string): string {
  const email = findCanonicalEmail(`somebody@${domain}`);
  if (email === undefined || domain.includes("@")) throw invalidEmailDomain();
  return email.slice(email.indexOf("@") + 1);
}

const canonicalMapping = ({ claim, values }: RoleMapping): RoleMapping => ({
  claim,
  values: values.map(({ value, role }) => ({ value, role: role.toLowerCase() })),
});

/**
 * To the roles of administrators at most; so nobody maps to more than they have themselves.
 *
 * @throws ownerNotMapped, roleNotFound
 */
async function refuseUnmappable(
  { db, permissions }: ProviderSetting,
  reference: string,
): Promise<void> {
  const name = reference.toLowerCase();
  if (name === "owner") throw ownerNotMapped();
  if (isSystemRole(name)) return;
  const role = isUuid(name) ? await findOwnRole({ db }, name) : undefined;
  if (!role) throw roleNotFound();
  const most = permissions.of("admin");
  if (role.permissions.some((each) => !most.has(each))) throw ownerNotMapped();
}

const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** @throws issuerUnusable, providerUnavailable */
async function discovered(oidc: OidcClient, issuer: string): Promise<string> {
  try {
    return await oidc.discover(issuer);
  } catch (error) {
    if (error instanceof AppError && error.code === providerFaulty.code) {
      throw issuerUnusable({ cause: error });
    }
    throw error;
  }
}
