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
      { description: "Where the account is a user: `POST /auth/switch` gives a token." },
    ),
    joinable: Type.Array(
      Type.Object({ tenant: TenantSummary, domain: Type.String(), role: Type.String() }),
      { description: "By the domain of the verified e-mail: `POST /tenants/{id}/join`." },
    ),
    invitations: Type.Array(WaitingInvitation, {
      description: "That wait for the verified e-mail: `POST /invitations/accept`.",
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
      summary: "Lists the tenants that the account is in, and those that are open to it",
      description: "What an e-mail opens is shown once it is verified.",
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
      summary: "Leaves a tenant: the caller's user there is deleted, and all its sessions end",
      description:
        "Nobody else has to agree, but an owner stays until another one is there. It takes a token of the core or of that tenant, and a proof of the last ten minutes (`/auth/reauthenticate`).",
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
      summary: "Gives a tenant to another of its users",
      description:
        "For the account that owns it, while it is an active owner there, and for platform administrators. The new owner has to be an active user who is linked to an account, and gets the role `owner`; the old one becomes an admin. Both get a mail. It takes a token of the core or of that tenant, and a proof of the last ten minutes (`/auth/reauthenticate`).",
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
