/** Session routes of the address book's client: refresh, log-out, current user. */
import { Type } from "typebox";
import {
  bearerOf,
  findAccountByEmail,
  refresh,
  refreshByAccessToken,
  type SignedInReply,
} from "../features/accounts/accounts.feature.ts";
import { findUser, type UserTables } from "../features/users/users.feature.ts";
import type { RouteBuilder } from "../kernel/feature/feature.ts";
import { nullable, secretText, timestamp, uuid } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { mayBeAbsent } from "../kernel/http/body/form-body.ts";
import { sessionCookie } from "../kernel/identity/cookie-sessions.ts";
import { invalidToken } from "../kernel/identity/errors.ts";
import { cookieIn, setCookie } from "../kernel/lib/cookies.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { tenantAccessDenied, tenantInactive } from "../kernel/tenancy/errors.ts";
import { Done, addressBookErrors as errorShape } from "./address-book.errors.ts";

const tokens = {
  token: secretText("Same as `access_token`."),
  access_token: secretText("For `Authorization: Bearer …`."),
  refresh_token: secretText("For `POST /api/auth/refresh`, once."),
  token_type: Type.Literal("bearer"),
  expires_in: Type.Integer({ description: "Seconds." }),
};

/** Some of its clients read the tokens from `data`, others from the top level. */
export const SessionTokens = Type.Object(
  { ...tokens, data: Type.Object(tokens) },
  { $id: "AddressBookTokens" },
);

export function sessionTokensOf(reply: SignedInReply) {
  const { access_token, refresh_token, token_type, expires_in } = bearerOf(reply);
  if (refresh_token === undefined) throw new Error("a session of this dialect can be refreshed");
  const shown = { token: access_token, access_token, refresh_token, token_type, expires_in };
  return { ...shown, data: shown };
}

const Me = Type.Object(
  {
    id: uuid,
    username: Type.String({ description: "The username, or the e-mail if there is none." }),
    email: Type.String(),
    first_name: Type.String(),
    last_name: Type.String(),
    roles: Type.Array(Type.String()),
    tenant_id: nullable(Type.String({ description: "The tenant's key; null: the platform." })),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "AddressBookMe" },
);

async function findMe(
  platform: Platform,
  tenant: Tenant | undefined,
  caller: { readonly id: string; readonly email: string },
) {
  if (!tenant) {
    const account = await findAccountByEmail(platform.control, caller.email);
    if (!account) throw invalidToken();
    const roles = account.platform_admin ? ["platform_admin"] : [];
    return { ...account, username: account.email, roles, tenant_id: null };
  }
  type Found = Awaited<ReturnType<typeof findUser.first>>;
  const user = await platform.withTenant<UserTables, Found>(tenant, ({ db }) =>
    findUser.first(db, { id: caller.id }),
  );
  if (!user) throw invalidToken();
  const { username, email, role } = user;
  return { ...user, username: username ?? email, roles: [role], tenant_id: tenant.key };
}

export const sessionRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
  ...(["/api/auth/refresh", "/api/auth/refresh-token"] as const).map((path) =>
    r.post(
      path,
      {
        permission: "public",
        context: "any",
        audit: {
          none: "the log-in that began the session is audited, and so is the reuse of a refresh token",
        },
        summary: "Issues new tokens for a refresh token, or without one for the access token",
        description:
          "A refresh token can be used once. With only the access token, the session can be refreshed while that token is valid; this replaces its refresh token.",
        body: Type.Object(
          { refresh_token: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 200 }))) },
          mayBeAbsent,
        ),
        unknownTenant() {
          throw invalidToken();
        },
        response: SessionTokens,
        errors: [invalidToken, tenantInactive, tenantAccessDenied],
        errorShape,
      },
      async ({ platform, request, audit, tenant, user, credential, body }) => {
        const deps = { platform, request, audit, showNames: true };
        // The body may be absent.
        const shown = (body as typeof body | undefined)?.refresh_token;
        const reply = shown
          ? refresh(deps, tenant, shown)
          : refreshByAccessToken(deps, user, credential);
        return sessionTokensOf(await reply);
      },
    ),
  ),

  r.post(
    "/api/auth/logout",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      audit: "auth.logged_out",
      summary: "Ends the session and the one of the cookie issued with it",
      body: Type.Object({}, mayBeAbsent),
      response: Done,
      errorShape,
    },
    async ({ platform, request, credential, header }) => {
      await platform.sessions.end(credential.sessionId);
      const cookie = cookieIn(request.headers.cookie?.toString(), sessionCookie);
      if (typeof cookie === "string") {
        await platform.cookieSessions.end(cookie);
        header("set-cookie", setCookie(sessionCookie, "", 0));
      }
      return { message: "Logged out" };
    },
  ),

  r.get(
    "/api/auth/me",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      summary: "Returns the current user",
      response: Me,
      errorShape,
    },
    async ({ platform, tenant, user }) => {
      const { id, username, email, first_name, last_name, roles, ...rest } = await findMe(
        platform,
        tenant,
        user,
      );
      const { tenant_id, created_at, updated_at } = rest;
      return {
        id,
        username,
        email,
        first_name,
        last_name,
        roles,
        tenant_id,
        created_at,
        updated_at,
      };
    },
  ),
];
