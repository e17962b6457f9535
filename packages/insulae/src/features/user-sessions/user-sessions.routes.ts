import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { wrongContext } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { SessionView } from "../accounts/accounts.feature.ts";
import { permissionNotHeld, roleAboveOwn, userNotFound } from "../users/users.feature.ts";
import { describeSignIns, endSessions, listSessions } from "./user-sessions.service.ts";

const SignIn = Type.Object(
  {
    user_id: uuid,
    linked: Type.Boolean({
      description: "Whether the user signs in with an account of the platform.",
    }),
    has_factor: Type.Boolean({
      description: "Whether a second factor is set up, of a linked user by the account.",
    }),
    last_seen_at: nullable({
      ...timestamp,
      description:
        "The latest of: when a session of the user in this tenant was last refreshed, and when they last did something that is in the audit log. Null if neither is known.",
    }),
  },
  { $id: "UserSignIn" },
);

const mostIds = 100;
const aUuid = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
const Ids = Type.String({
  maxLength: mostIds * 37,
  pattern: `^${aUuid}(,${aUuid}){0,${mostIds - 1}}$`,
  description: `Up to ${mostIds} ids of users, separated by commas. Those that are no users here are left out.`,
});

/**
 * Sessions and factors are in the control plane, so the routes run in `any`; only users may call them.
 */
function inTenant(user: Principal, tenant: Tenant | undefined) {
  if (user.kind !== "tenant" || !tenant) throw wrongContext();
  return { user, tenant };
}

export const userSessionRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/users/sign-ins",
    {
      permission: "users:write",
      context: "any",
      summary: "Returns when users were last seen, and how they sign in",
      query: Type.Object({ ids: Ids }),
      response: Type.Object({ items: Type.Array(SignIn) }),
    },
    async ({ platform, user, tenant, query }) => ({
      items: await describeSignIns(platform, inTenant(user, tenant).tenant, query.ids.split(",")),
    }),
  ),

  r.get(
    "/users/:id/sessions",
    {
      permission: "users:write",
      context: "any",
      summary: "Lists a user's open sessions in the tenant, newest first",
      description:
        "Sessions at the platform are not among them, nor are the tenant tokens that depend on one.",
      params: idParams,
      query: pageQuery(),
      response: pageOf(SessionView),
      errors: [userNotFound],
    },
    ({ platform, user, tenant, credential, params, page }) => {
      const current = "sessionId" in credential ? credential.sessionId : undefined;
      return listSessions(platform, inTenant(user, tenant).tenant, params.id, page, current);
    },
  ),

  r.delete(
    "/users/:id/sessions",
    {
      permission: "users:write",
      context: "any",
      audit: "user.sessions_ended",
      summary: "Ends all of a user's sessions and tenant tokens in the tenant",
      description:
        "The user can sign in again; deactivate them to prevent that. The caller's role must not be lower than the user's.",
      params: idParams,
      response: { 204: null },
      errors: [userNotFound, roleAboveOwn, permissionNotHeld],
    },
    async ({ platform, user, tenant, permissions, params, audit }) => {
      const caller = inTenant(user, tenant);
      await endSessions({ platform, permissions, ...caller }, params.id);
      await audit({ action: "user.sessions_ended", target: { type: "user", id: params.id } });
    },
  ),
];
