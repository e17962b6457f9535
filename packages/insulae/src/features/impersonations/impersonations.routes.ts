import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, searchText } from "../../kernel/feature/page.ts";
import { wrongContext } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  administratorNeedsFactor,
  SignedIn,
  TenantReference,
} from "../accounts/accounts.feature.ts";
import { userNotFound } from "../users/users.feature.ts";
import {
  endImpersonation,
  impersonationNotFound,
  impersonationOver,
  listPeopleOf,
  pageOfImpersonations,
  renewImpersonation,
  startImpersonation,
} from "./impersonations.service.ts";

const Impersonation = Type.Object(
  {
    id: uuid,
    tenant_id: uuid,
    user_id: uuid,
    user_name: nullable(
      Type.String({ description: "The user's at present; null if they are gone." }),
    ),
    user_email: nullable(Type.String()),
    administrator_id: uuid,
    administrator_email: Type.String(),
    reason: Type.String(),
    created_at: timestamp,
    ends_at: timestamp,
    ended_at: Type.Union([timestamp, Type.Null()], { description: "Set if it was ended early." }),
  },
  { $id: "Impersonation" },
);
const TenantPerson = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    first_name: Type.String(),
    last_name: Type.String(),
    role: Type.String(),
    is_active: Type.Boolean(),
  },
  { $id: "TenantPerson", description: "A user of a tenant, as platform administrators see them." },
);
const NewImpersonation = Type.Object(
  {
    tenant: TenantReference,
    user_id: uuid,
    reason: Type.String({ minLength: 1, maxLength: 500, pattern: "\\S" }),
    minutes: Type.Integer({ minimum: 1, maximum: 60 }),
  },
  { $id: "NewImpersonation" },
);
const Impersonating = Type.Object(
  { ...SignedIn.properties, id: uuid, ends_at: timestamp },
  { $id: "Impersonating" },
);

const active = Type.Optional(
  Type.Boolean({ description: "Only those that are running; `false`: only those that are over." }),
);

/**
 * Impersonations are in the control plane, so the tenant's routes run in `any`; only users may call
 * them.
 */
function tenantIdOf(user: Principal): TenantId {
  if (user.kind !== "tenant") throw wrongContext();
  return user.tenantId;
}

export const impersonationRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/tenants/:id/users",
    {
      permission: "platform",
      context: "core",
      audit: "tenant.users_listed",
      summary: "Lists the users of a tenant, newest first, to impersonate one",
      description:
        "`q` searches e-mail, username and name, ignoring case. The tenant sees each request in its audit log.",
      params: Type.Object({ id: TenantReference }),
      query: pageQuery({ q: searchText, is_active: Type.Optional(Type.Boolean()) }),
      response: pageOf(TenantPerson),
      errors: [tenantNotFound, tenantInactive, administratorNeedsFactor],
    },
    (setting) => listPeopleOf(setting, setting.params.id, setting.query, setting.page),
  ),

  r.post(
    "/platform/impersonations",
    {
      permission: "platform",
      context: "core",
      audit: "impersonation.started",
      summary: "Impersonates a user of a tenant for at most an hour",
      description:
        "Issues an access token for the tenant that names the administrator, and no refresh token. Actions reserved to the person themself stay refused. The tenant sees the impersonation in its audit log and in `GET /impersonations`.",
      body: NewImpersonation,
      response: { 201: Impersonating },
      errors: [tenantNotFound, tenantInactive, userNotFound, administratorNeedsFactor],
    },
    (context) => startImpersonation(context, context.user, context.credential, context.body),
  ),

  r.get(
    "/platform/impersonations",
    {
      permission: "platform",
      context: "core",
      summary: "Lists impersonations, newest first",
      query: pageQuery({ tenant: Type.Optional(TenantReference), active }),
      response: pageOf(Impersonation),
      errors: [tenantNotFound],
    },
    async ({ platform, query: { tenant, active }, page }) => {
      const tenantId = tenant === undefined ? undefined : (await platform.tenants.get(tenant)).id;
      return pageOfImpersonations(platform, page, { tenantId, active });
    },
  ),

  r.post(
    "/platform/impersonations/:id/token",
    {
      permission: "platform",
      context: "core",
      audit: "impersonation.renewed",
      summary: "Issues another access token for the caller's own running impersonation",
      params: idParams,
      response: Impersonating,
      errors: [impersonationNotFound, impersonationOver],
    },
    ({ platform, user, params }) => renewImpersonation(platform, user, params.id),
  ),

  r.delete(
    "/platform/impersonations/:id",
    {
      permission: "platform",
      context: "core",
      audit: "impersonation.ended",
      summary: "Ends an impersonation",
      params: idParams,
      response: { 204: null },
      errors: [impersonationNotFound],
    },
    (context) => endImpersonation(context, context.params.id),
  ),

  r.get(
    "/impersonations",
    {
      permission: "impersonations:read",
      context: "any",
      summary: "Lists impersonations of the tenant's users, newest first",
      query: pageQuery({ active }),
      response: pageOf(Impersonation),
    },
    ({ platform, user, query, page }) =>
      pageOfImpersonations(platform, page, { ...query, tenantId: tenantIdOf(user) }),
  ),

  r.delete(
    "/impersonations/:id",
    {
      permission: "impersonations:end",
      context: "any",
      personal: true,
      audit: "impersonation.ended",
      summary: "Ends an impersonation in the tenant",
      params: idParams,
      response: { 204: null },
      errors: [impersonationNotFound],
    },
    (context) => endImpersonation(context, context.params.id, tenantIdOf(context.user)),
  ),
];
