/**
 * The dialect of an address book with live logs. The host identifies the tenant; plain `localhost`
 * means `DEFAULT_TENANT`. A tenant in a body never selects it but must match it.
 *
 * Its document describes a handful of calls; its published clients make more, and read more
 * properties:
 *
 *     address-book.sessions.ts   refresh, log-out, current user
 *     address-book.contacts.ts   the list in all its forms, a contact's address, age and gender
 *     address-book.tenants.ts    tenants, for platform administrators
 *     address-book.monitoring.ts tenants' state
 *     address-book.health.ts     the server's health
 *     shared-paths.ts            POST /api/auth/login
 */
import { Type } from "typebox";
import { invitationOnly, register } from "../features/accounts/accounts.feature.ts";
import type { ContactTables } from "../features/contacts/contacts.feature.ts";
import { Email, NewPassword, Username, type UserTables } from "../features/users/users.feature.ts";
import { feature } from "../kernel/feature/feature.ts";
import { weakPassword } from "../kernel/identity/passwords.ts";
import { tenantAccessDenied } from "../kernel/tenancy/errors.ts";
import { canonicalEmail } from "../kernel/validation/email.ts";
import { contactRoutes } from "./address-book.contacts.ts";
import { addressBookErrors as errorShape } from "./address-book.errors.ts";
import { healthRoutes } from "./address-book.health.ts";
import { monitoringRoutes } from "./address-book.monitoring.ts";
import { sessionRoutes } from "./address-book.sessions.ts";
import { tenantRoutes } from "./address-book.tenants.ts";
import { namedTenant, refuseOtherTenant, tenantOrDefault } from "./shared.ts";

type Tables = ContactTables & UserTables;

export const addressBook = feature<Tables>("address-book", {
  dependsOn: ["contacts"],
  routes: ({ absolute: r }) => [
    r.post(
      "/api/auth/signup",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: "auth.registered",
        summary: "Registers a user of the tenant",
        body: Type.Object({
          username: Username,
          email: Email,
          password: NewPassword,
          ...namedTenant,
        }),
        unknownTenant() {
          throw invitationOnly();
        },
        response: {
          201: Type.Object({
            message: Type.String(),
            user: Type.Object({ username: Type.String(), email: Type.String() }),
          }),
        },
        errors: [weakPassword, tenantAccessDenied],
        errorShape,
      },
      async ({ platform, request, tenant, body, audit, log }) => {
        const { username, email, password } = body;
        const where = await tenantOrDefault(platform, tenant);
        await refuseOtherTenant({ platform, audit }, where, body);
        const deps = { platform, request, audit, log };
        await register(deps, where, { username, email, password }, { firstOwns: !tenant });
        // The same response whether or not the e-mail has to be verified first.
        return { message: "User registered", user: { username, email: canonicalEmail(email) } };
      },
    ),

    ...sessionRoutes(r),
    ...contactRoutes(r),
    ...tenantRoutes(r),
    ...monitoringRoutes(r),
    ...healthRoutes(r),

    r.get(
      "/api/logs",
      {
        permission: "public",
        context: "core",
        summary: "Removed: the log is streamed over a WebSocket",
        response: {
          410: Type.Object({
            status: Type.Literal(410),
            error: Type.Literal("Gone"),
            message: Type.String(),
            websocket_url: Type.String(),
          }),
        },
        errorShape,
      },
      ({ request, status }) => {
        status(410);
        const url = new URL("/api/ws/logs", request.baseUrl);
        url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
        const message = "Gone since v0.2.0: the log is streamed over a WebSocket";
        return { status: 410, error: "Gone", message, websocket_url: url.href };
      },
    ),

    r.get(
      "/api/ping",
      {
        permission: "public",
        context: "core",
        summary: "Says pong",
        response: Type.Object({ message: Type.Literal("pong") }),
        errorShape,
      },
      () => ({ message: "pong" }),
    ),
  ],
});
