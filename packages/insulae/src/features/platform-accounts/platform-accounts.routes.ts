import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import { emailNotVerified, endSessionsOf, SessionView } from "../accounts/accounts.feature.ts";
import {
  accountNotFound,
  reauthenticationRequired,
  requireFreshProof,
} from "../factors/factors.feature.ts";
import {
  accountInactive,
  getAccount,
  grantAdministration,
  lastAdministrator,
  pageOfAccounts,
  revokeAdministration,
  setActive,
  showAccount,
} from "./platform-accounts.service.ts";

const Account = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    first_name: Type.String(),
    last_name: Type.String(),
    platform_admin: Type.Boolean(),
    is_owner: Type.Boolean({ description: "Whether it has owned a tenant." }),
    is_active: Type.Boolean(),
    email_verified: Type.Boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "Account" },
);

const { current: _current, impersonated: _impersonated, ...session } = SessionView.properties;

const AccountDetail = Type.Object(
  {
    ...Account.properties,
    memberships: Type.Array(
      Type.Object({
        id: uuid,
        key: Type.String(),
        slug: Type.String(),
        name: Type.String(),
        status: oneOf(["active", "suspended"]),
        user_id: uuid,
        owner: Type.Boolean({ description: "Whether the account owns the tenant." }),
        created_at: timestamp,
      }),
      { description: "The tenants that it is a user of, newest first; at most 100." },
    ),
    factors: Type.Array(
      Type.Object({
        id: uuid,
        kind: oneOf(["totp", "passkey"]),
        name: Type.String(),
        created_at: timestamp,
        last_used_at: nullable(timestamp),
      }),
    ),
    sessions: Type.Array(Type.Object(session), {
      description: "Its open sessions at the platform, newest first; at most 100.",
    }),
  },
  { $id: "AccountDetail" },
);

const platformOnly = { permission: "platform", context: "core" } as const;
/** The id is the client's text; the query finds out whether it is an account's. */
const asId = (id: string) => id as AccountId;
const targetOf = (id: AccountId) => ({ type: "account", id });

export const platformAccountRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/accounts",
    {
      ...platformOnly,
      summary: "Lists accounts, newest first",
      description:
        "`q` finds accounts by their id, and by what their e-mail, first name or last name begins with, ignoring case; it looks at the first 1,000 of each.",
      query: pageQuery({
        q: Type.Optional(Type.String({ minLength: 1, maxLength: 254, pattern: "\\S" })),
        is_active: Type.Optional(Type.Boolean()),
        platform_admin: Type.Optional(Type.Boolean()),
      }),
      response: pageOf(Account),
    },
    ({ platform, query, page }) => pageOfAccounts(platform, query, page),
  ),

  r.get(
    "/platform/accounts/:id",
    {
      ...platformOnly,
      summary: "Returns an account with its memberships, factors and open sessions",
      params: idParams,
      response: AccountDetail,
      errors: [accountNotFound],
    },
    ({ platform, params }) => showAccount(platform, asId(params.id)),
  ),

  r.patch(
    "/platform/accounts/:id",
    {
      ...platformOnly,
      audit: "account.deactivated",
      summary: "Activates or deactivates an account",
      description:
        "Deactivating ends its sessions within a second, at the platform and in all its tenants, and it can't sign in until it is activated. The last active platform administrator can't be deactivated.",
      params: idParams,
      body: Type.Object({ is_active: Type.Boolean() }),
      response: AccountDetail,
      errors: [accountNotFound, lastAdministrator],
    },
    async ({ platform, params, body, audit }) => {
      const id = asId(params.id);
      await setActive(platform, id, body.is_active);
      const action = body.is_active ? "account.activated" : "account.deactivated";
      await audit({ action, target: targetOf(id) });
      return showAccount(platform, id);
    },
  ),

  r.delete(
    "/platform/accounts/:id/sessions",
    {
      ...platformOnly,
      audit: "account.sessions_ended",
      summary: "Ends all sessions of an account, at the platform and in all its tenants",
      params: idParams,
      response: { 204: null },
      errors: [accountNotFound],
    },
    async ({ platform, params, audit }) => {
      const { id } = await getAccount(platform.control, asId(params.id));
      await endSessionsOf(platform, { tenantId: null, id });
      await audit({ action: "account.sessions_ended", target: targetOf(id) });
    },
  ),

  r.put(
    "/platform/accounts/:id/platform-admin",
    {
      ...platformOnly,
      audit: "account.administration_granted",
      summary: "Makes an account a platform administrator",
      params: idParams,
      response: { 204: null },
      errors: [accountNotFound, accountInactive, emailNotVerified, reauthenticationRequired],
    },
    async ({ platform, credential, params, audit }) => {
      await requireFreshProof({ platform, credential });
      const id = asId(params.id);
      await grantAdministration(platform, id);
      await audit({ action: "account.administration_granted", target: targetOf(id) });
    },
  ),

  r.delete(
    "/platform/accounts/:id/platform-admin",
    {
      ...platformOnly,
      audit: "account.administration_revoked",
      summary: "Makes an account an ordinary one, which is no platform administrator",
      description:
        "Takes effect within a second; impersonations by the account end. The last active one stays.",
      params: idParams,
      response: { 204: null },
      errors: [accountNotFound, lastAdministrator, reauthenticationRequired],
    },
    async ({ platform, credential, params, audit }) => {
      await requireFreshProof({ platform, credential });
      const id = asId(params.id);
      await revokeAdministration(platform, id);
      await audit({ action: "account.administration_revoked", target: targetOf(id) });
    },
  ),
];
