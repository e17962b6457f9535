/**
 * A tenant's identity providers. A provider vouches for people, so whoever configures one could
 * sign in as anybody who uses it. Therefore only owners and administrators may, in person; owners
 * can't sign in through a provider (see linking.ts); and it grants at most an administrator's
 * permissions.
 */

import { type OidcClient, providerFaulty } from "../../kernel/identity/oidc.ts";
import { isAtLeast, type Permissions } from "../../kernel/identity/permissions.ts";
import type { TenantPrincipal } from "../../kernel/identity/principal.ts";
import { AppError, defineError } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
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

export interface ProviderDeps {
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

/** @throws the errors of `checked`; tooManyProviders, issuerUnusable, providerUnavailable */
export async function addProvider(
  deps: ProviderDeps,
  { client_secret, ...body }: NewProviderBody,
): Promise<ProviderRow> {
  const { db, oidc, tenant } = deps;
  const wanted = await checked(deps, { ...defaults, ...body });
  // Avoid the discovery request if the limit is reached; the count below, under the lock, decides.
  if ((await listProviders(db)).length >= maxProviders) throw tooManyProviders();
  const issuer = await discovered(oidc, body.issuer);
  const sealed_secret = oidc.seal(tenant.id, client_secret);
  return db.transaction().execute(async (tx) => {
    await refuseBeyond(tx, "identity_providers", maxProviders, tooManyProviders);
    return insertProvider(tx, { ...wanted, issuer, sealed_secret });
  });
}

/**
 * Checks the result of a change as a whole. With another issuer, the same mapping means other
 * people, so the caller must be allowed to create the provider as it will be.
 *
 * @param seen may refuse the provider as it is before the change
 * @throws the errors of `checked`; providerNotFound, issuerUnusable, providerUnavailable
 */
export async function changeProvider(
  deps: ProviderDeps,
  id: string,
  { client_secret, ...changes }: ProviderChangesBody,
  seen: (current: ProviderRow) => void,
): Promise<ProviderRow> {
  const { db, oidc, tenant } = deps;
  // Discover before the row is locked: no request should wait for a slow provider.
  const issuer = changes.issuer && (await discovered(oidc, changes.issuer));
  return db.transaction().execute(async (tx) => {
    const before = await lockProvider(tx, id);
    if (!before) throw providerNotFound();
    seen(before);
    const { sealed_secret, created_at, updated_at, id: _id, ...settings } = before;
    const wanted = await checked({ ...deps, db: tx }, { ...settings, ...changes });
    return updateProvider(tx, id, {
      ...wanted,
      ...(issuer && { issuer }),
      ...(client_secret && { sealed_secret: oidc.seal(tenant.id, client_secret) }),
    });
  });
}

/** @param seen may refuse the removal. @throws administratorsOnly, providerNotFound */
export function removeProvider(
  deps: ProviderDeps,
  id: string,
  seen: (current: ProviderRow) => void,
): Promise<ProviderRow> {
  refuseUnlessAdministrator(deps);
  return deps.db.transaction().execute(async (tx) => {
    const before = await lockProvider(tx, id);
    if (!before) throw providerNotFound();
    seen(before);
    await deleteProvider(tx, id);
    return before;
  });
}

/** @throws administratorsOnly */
function refuseUnlessAdministrator({ user }: Pick<ProviderDeps, "user">): void {
  if (!isAtLeast(user.role, "admin")) throw administratorsOnly();
}

type Settings = Omit<ProviderRow, "id" | "sealed_secret" | "created_at" | "updated_at">;

/**
 * Validates the settings and returns them as stored.
 *
 * @throws administratorsOnly, domainsRequired, invalidEmailDomain, ownerNotMapped, roleNotFound
 */
async function checked(
  deps: ProviderDeps,
  wanted: { readonly [K in keyof Settings]: Settings[K] | Readonly<Settings[K]> },
): Promise<Omit<ProviderValues, "sealed_secret">> {
  refuseUnlessAdministrator(deps);
  const domains = [...new Set(wanted.allowed_domains.map(canonicalDomain))];
  if (wanted.trust_email && domains.length === 0) throw domainsRequired();
  for (const { role } of wanted.role_mapping?.values ?? []) await refuseUnmappable(deps, role);
  return {
    ...wanted,
    name: wanted.name.trim(),
    scopes: [...new Set(["openid", ...wanted.scopes])],
    second_factor_acr: [...wanted.second_factor_acr],
    allowed_domains: domains,
    role_mapping: wanted.role_mapping && JSON.stringify(canonicalMapping(wanted.role_mapping)),
  };
}

/** The domain in the form in which e-mail addresses are stored. */
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
 * Mapped roles must not exceed an administrator's permissions, so that nobody maps more than they
 * hold.
 *
 * @throws ownerNotMapped, roleNotFound
 */
async function refuseUnmappable(
  { db, permissions }: ProviderDeps,
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
