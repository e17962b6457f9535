import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { uuid } from "../../kernel/feature/fields.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { tooManyTenants } from "../../kernel/tenancy/ownership.ts";
import { noAccount, TenantSummary } from "../accounts/accounts.feature.ts";
import { reauthenticationRequired, requireFreshProof } from "../factors/factors.feature.ts";
import { WaitingInvitation } from "../invitations/invitations.feature.ts";
import { TenantParams, TenantView, viewOf } from "../tenants/tenants.feature.ts";
import { asId, lastOwner, ownsTenant, userNotFound } from "../users/users.feature.ts";
import {
  describeTenants,
  leaveTenant,
  notTransferable,
  transferTenant,
} from "./memberships.service.ts";

const OwnTenants = Type.Object(
  {
    memberships: Type.Array(
      Type.Object({ tenant: TenantSummary, user_id: uuid, is_owner: Type.Boolean() }),
      {
        description:
          "The tenants that the account is a user of. `POST /auth/switch` issues a token.",
      },
    ),
    joinable: Type.Array(
      Type.Object({ tenant: TenantSummary, domain: Type.String(), role: Type.String() }),
      {
        description:
          "The tenants that the account may join by the domain of its verified e-mail, with `POST /tenants/{id}/join`.",
      },
    ),
    invitations: Type.Array(WaitingInvitation, {
      description: "Open invitations to the verified e-mail, for `POST /invitations/accept`.",
    }),
  },
  { $id: "OwnTenants" },
);

export const membershipRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/auth/tenants",
    {
      permission: "authenticated",
      context: "any",
      summary: "Lists the account's tenants, and those it may join",
      description: "Joinable tenants and invitations appear once the e-mail is verified.",
      response: OwnTenants,
      errors: [noAccount],
    },
    ({ platform, user }) => describeTenants(platform, user),
  ),

  r.post(
    "/tenants/:id/leave",
    {
      permission: "authenticated",
      context: "any",
      audit: "membership.left",
      summary: "Leaves a tenant: deletes the caller's user there and ends its sessions",
      description:
        "The last owner cannot leave. Needs a token for the platform or for that tenant, and re-authentication within the last ten minutes (`/auth/reauthenticate`).",
      params: TenantParams,
      response: { 204: null },
      errors: [
        tenantNotFound,
        tenantInactive,
        userNotFound,
        lastOwner,
        ownsTenant,
        reauthenticationRequired,
      ],
    },
    async ({ platform, user, credential, params, audit }) => {
      await requireFreshProof({ platform, credential });
      const { tenant, userId } = await leaveTenant(platform, user, params.id);
      await audit({ action: "membership.left", tenant, target: { type: "user", id: userId } });
    },
  ),

  r.post(
    "/tenants/:id/transfer",
    {
      permission: "authenticated",
      context: "any",
      audit: "tenant.transferred",
      summary: "Transfers a tenant to another of its users",
      description:
        "For the account that owns the tenant, while it is an active owner there, and for platform administrators. The new owner must be an active user linked to an account. They get the role `owner`, the previous owner becomes an admin, and both get an e-mail. Needs a token for the platform or for that tenant, and re-authentication within the last ten minutes (`/auth/reauthenticate`).",
      params: TenantParams,
      body: Type.Object({ user_id: uuid }, { $id: "TenantTransfer" }),
      response: TenantView,
      errors: [
        tenantNotFound,
        tenantInactive,
        notTransferable,
        tooManyTenants,
        reauthenticationRequired,
      ],
    },
    async ({ platform, user, credential, params, body, audit }) => {
      await requireFreshProof({ platform, credential });
      const heir = asId(body.user_id);
      const { tenant, from, to } = await transferTenant(platform, user, params.id, heir);
      await audit({
        action: "tenant.transferred",
        tenant,
        target: { type: "tenant", id: tenant.id },
        detail: { from_account: from ?? null, to_account: to, to_user: heir },
      });
      return viewOf(tenant);
    },
  ),
];
