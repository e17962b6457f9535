import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, uuid } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { personalOnly, wrongContext } from "../../kernel/identity/errors.ts";
import { providerUnavailable } from "../../kernel/identity/oidc.ts";
import type { Permissions } from "../../kernel/identity/permissions.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { roleNotFound } from "../roles/roles.feature.ts";
import {
  lockInferior,
  permissionNotHeld,
  roleAboveOwn,
  userNotFound,
} from "../users/users.feature.ts";
import { callbackUrls } from "./addresses.ts";
import {
  type Db,
  deleteIdentity,
  findProvider,
  type IdentityTables,
  listIdentities,
  listProviders,
  type ProviderRow,
} from "./identity-providers.queries.ts";
import {
  Identity,
  NewProvider,
  ProviderChanges,
  ProviderView,
} from "./identity-providers.schemas.ts";
import {
  addProvider,
  administratorsOnly,
  changeProvider,
  domainsRequired,
  invalidEmailDomain,
  issuerUnusable,
  ownerNotMapped,
  type ProviderDeps,
  providerNotFound,
  removeProvider,
  tooManyProviders,
} from "./identity-providers.service.ts";

export const identityNotFound = defineError(
  "identity_not_found",
  404,
  "The user has no identity with this id",
);

/**
 * Encryption of the client secret and provider discovery are the platform's, so the routes run in
 * `any`.
 */
function depsOf({
  platform,
  tenant,
  user,
  db,
  permissions,
}: {
  readonly platform: Platform;
  readonly tenant: Tenant | undefined;
  readonly user: Principal;
  readonly db: Db | undefined;
  readonly permissions: Permissions;
}): ProviderDeps & Pick<Platform, "config"> {
  if (user.kind !== "tenant" || !tenant || !db) throw wrongContext();
  return { db, tenant, user, permissions, oidc: platform.oidc, config: platform.config };
}

const viewOf = (
  { config, tenant }: Pick<Platform, "config"> & { readonly tenant: Tenant },
  { sealed_secret: _secret, ...provider }: ProviderRow,
) => ({ ...provider, redirect_uris: callbackUrls(config, tenant, provider.id) });

const target = ({ id }: { readonly id: string }) => ({ type: "identity_provider", id });
/** The part of a provider that the audit log records. */
const detailOf = ({
  name,
  issuer,
  client_id,
  trust_email,
  create_users,
  enabled,
}: ProviderRow) => ({
  ...{ name, issuer, client_id, trust_email, create_users, enabled },
});

const refusals = [
  administratorsOnly,
  domainsRequired,
  invalidEmailDomain,
  ownerNotMapped,
  roleNotFound,
  issuerUnusable,
  providerUnavailable,
  personalOnly,
];
const identityParams = Type.Object({ id: uuid, identity: uuid });
/** In lower case, as PostgreSQL writes UUIDs. */
const userIdOf = ({ id }: { readonly id: string }) => id as UserId; // checked as a uuid

export const providerRoutes = (r: RouteBuilder<IdentityTables>) => [
  r.get(
    "/identity-providers",
    {
      permission: "identity-providers:read",
      context: "any",
      summary: "Lists the tenant's OpenID Connect providers",
      response: Type.Object({ items: Type.Array(ProviderView) }),
    },
    async (context) => {
      const deps = depsOf(context);
      const providers = await listProviders(deps.db);
      return { items: providers.map((provider) => viewOf(deps, provider)) };
    },
  ),

  r.post(
    "/identity-providers",
    {
      permission: "identity-providers:write",
      context: "any",
      personal: true,
      audit: "identity_provider.created",
      summary: "Adds an OpenID Connect provider",
      description:
        "For owners and administrators. The server fetches the provider's discovery document. Register one of `redirect_uris` at the provider. See docs/authentication.md.",
      body: NewProvider,
      response: { 201: ProviderView },
      errors: [...refusals, tooManyProviders],
    },
    async (context) => {
      const deps = depsOf(context);
      const provider = await addProvider(deps, context.body);
      await context.audit({
        action: "identity_provider.created",
        target: target(provider),
        detail: detailOf(provider),
      });
      return viewOf(deps, provider);
    },
  ),

  r.get(
    "/identity-providers/:id",
    {
      permission: "identity-providers:read",
      context: "any",
      summary: "Returns a provider without its client secret",
      params: idParams,
      response: ProviderView,
      etag: true,
      errors: [providerNotFound],
    },
    async (context) => {
      const deps = depsOf(context);
      const provider = await findProvider(deps.db, context.params.id);
      if (!provider) throw providerNotFound();
      return viewOf(deps, provider);
    },
  ),

  r.patch(
    "/identity-providers/:id",
    {
      permission: "identity-providers:write",
      context: "any",
      personal: true,
      audit: "identity_provider.changed",
      summary: "Changes a provider, with effect from the next sign-in",
      params: idParams,
      body: ProviderChanges,
      response: ProviderView,
      errors: [...refusals, providerNotFound],
    },
    async (context) => {
      const deps = depsOf(context);
      const { params, body, precondition } = context;
      const provider = await changeProvider(deps, params.id, body, (current) =>
        precondition?.(viewOf(deps, current)),
      );
      await context.audit({
        action: "identity_provider.changed",
        target: target(provider),
        detail: { ...detailOf(provider), changed: Object.keys(body) },
      });
      return viewOf(deps, provider);
    },
  ),

  r.delete(
    "/identity-providers/:id",
    {
      permission: "identity-providers:write",
      context: "any",
      personal: true,
      audit: "identity_provider.deleted",
      summary: "Removes a provider. Its users and their linked identities stay.",
      params: idParams,
      response: { 204: null },
      errors: [providerNotFound, administratorsOnly, personalOnly],
    },
    async (context) => {
      const deps = depsOf(context);
      const { params, precondition } = context;
      const deleted = await removeProvider(deps, params.id, (current) =>
        precondition?.(viewOf(deps, current)),
      );
      await context.audit({
        action: "identity_provider.deleted",
        target: target(deleted),
        detail: detailOf(deleted),
      });
    },
  ),

  r.get(
    "/users/:id/identities",
    {
      permission: "identity-providers:read",
      summary: "Lists the user's linked identities",
      params: idParams,
      response: Type.Object({ items: Type.Array(Identity) }),
    },
    async ({ db, params }) => ({ items: await listIdentities(db, userIdOf(params)) }),
  ),

  r.delete(
    "/users/:id/identities/:identity",
    {
      permission: "users:write",
      audit: "identity.unlinked",
      summary: "Unlinks an identity from a user",
      description:
        "The next person who signs in there with the user's verified e-mail is linked again.",
      params: identityParams,
      response: { 204: null },
      errors: [identityNotFound, userNotFound, roleAboveOwn, permissionNotHeld],
    },
    async ({ db, user, permissions, audit, params }) => {
      const userId = userIdOf(params);
      await db.transaction().execute(async (tx) => {
        await lockInferior({ db: tx.$pickTables<"users">(), permissions, user }, userId);
        const deleted = await deleteIdentity(tx, userId, params.identity);
        if (!deleted) throw identityNotFound();
        await audit(
          {
            action: "identity.unlinked",
            target: { type: "user", id: userId },
            detail: { issuer: deleted.issuer },
          },
          tx,
        );
      });
    },
  ),
];
