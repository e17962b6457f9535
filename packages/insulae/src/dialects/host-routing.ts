/**
 * The dialect of a framework that identifies tenants by host. Its documentation has these routes as
 * examples;
 * here they work on the tenant's own data. Tenants created this way get their own schema ("separate
 * schemas").
 */
import { Type } from "typebox";
import { logIn, refuseLogIn } from "../features/accounts/accounts.feature.ts";
import { createDocument, type DocumentTables } from "../features/documents/documents.feature.ts";
import {
  Hostname,
  isolationNotPermitted,
  makeTenant,
} from "../features/tenants/tenants.feature.ts";
import {
  findUser,
  profileKey,
  type UserTables,
  userNotFound,
} from "../features/users/users.feature.ts";
import { type ErrorShape, feature, type RouteBuilder } from "../kernel/feature/feature.ts";
import { nameText, nullable, uuid } from "../kernel/feature/fields.ts";
import { hostNotAllowed } from "../kernel/http/server/development-hosts.ts";
import { sessionCookie } from "../kernel/identity/cookie-sessions.ts";
import { invalidCredentials, permissionDenied } from "../kernel/identity/errors.ts";
import { setCookie } from "../kernel/lib/cookies.ts";
import { defineError } from "../kernel/lib/errors.ts";
import { rateLimitExceeded } from "../kernel/lib/http-errors.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { counter } from "../kernel/telemetry/metrics.ts";
import { tenantRequired } from "../kernel/tenancy/errors.ts";
import { tooManyTenants } from "../kernel/tenancy/ownership.ts";
import { isError } from "./shared.ts";

/** Its documented messages, used instead of our titles. */
const messages: Readonly<Record<string, string>> = {
  tenant_required: "Tenant not found",
  tenant_not_found: "Tenant not found",
  host_not_allowed: "Tenant not found",
  tenant_inactive: "Tenant is inactive",
  tenant_access_denied: "Access denied",
  permission_denied: "Access denied",
  validation_failed: "Invalid request",
  rate_limit_exceeded: "Rate limit exceeded",
};

/** An unregistered host belongs to no tenant, also where development mode refuses it earlier. */
function noTenantIs(none: number): NonNullable<ErrorShape["statusOf"]> {
  return ({ code, status }) => (code === hostNotAllowed.code ? none : status);
}

const hostErrors: ErrorShape = {
  schema: Type.Object(
    {
      error: Type.String(),
      limit: Type.Optional(
        Type.Integer({ description: "The limit, if a rate limit was exceeded." }),
      ),
      window: Type.Optional(Type.Integer({ description: "Its window, in seconds." })),
      policy: Type.Optional(Type.String({ description: "The name of the limit." })),
      setting: Type.Optional(Type.String({ description: "The setting behind it." })),
      permission: Type.Optional(Type.String({ description: "The permission that is missing." })),
    },
    { $id: "HostRoutingError" },
  ),
  statusOf: noTenantIs(404),
  bodyOf({ code, title, detail, members: { limit, window, policy, setting, permission } }) {
    return {
      error: messages[code] ?? detail ?? title,
      ...(code === rateLimitExceeded.code && { limit, window, policy, setting }),
      ...(code === permissionDenied.code && { permission }),
    };
  },
};

const noTenantOfHost = defineError("no_tenant_of_host", 404, "Tenant not found");
const hostNotRegistered = defineError("host_not_registered", 409, "Failed to register host");
const tenantNotRegistered = defineError("tenant_not_registered", 409, "Failed to register tenant");

const errorShape = hostErrors;

const requests = counter("api_requests_total", "Requests to /api/data, by tenant", [
  "tenant",
  "endpoint",
]);

type Tables = UserTables & DocumentTables;

/** The part of a tenant's settings that a page may read before sign-in. */
const configOf = ({ settings: { features = {}, limits = {}, branding = {} } }: Tenant) => ({
  features,
  limits,
  branding,
});

function known(tenant: Tenant | undefined): Tenant {
  if (!tenant) throw noTenantOfHost();
  return tenant;
}

const Profile = Type.Object(
  {
    id: uuid,
    tenant: Type.String(),
    email: Type.String(),
    username: nullable(Type.String()),
    first_name: Type.String(),
    last_name: Type.String(),
    role: Type.String(),
  },
  { $id: "HostRoutingProfile" },
);

const tenMinutes = 600;

const openRoutes = (r: RouteBuilder<Tables>["absolute"]) => [
  r.get(
    "/api/data",
    {
      permission: "public",
      context: "any",
      byHost: true,
      summary: "Returns the tenant's key for this host",
      response: Type.Object({ tenant: Type.String(), message: Type.String() }),
      errors: [tenantRequired],
      errorShape: { ...hostErrors, statusOf: noTenantIs(tenantRequired.status) },
    },
    ({ tenant, metrics }) => {
      if (!tenant) throw tenantRequired();
      metrics.counter(requests, { tenant: tenant.key, endpoint: "/api/data" }).add();
      return { tenant: tenant.key, message: "Tenant-specific data" };
    },
  ),

  r.get(
    "/api/tenant/info",
    {
      permission: "public",
      context: "any",
      byHost: true,
      summary: "Returns the tenant of this host",
      response: Type.Object({
        tenant_id: Type.String(),
        hosts: Type.Array(Type.String()),
        config: Type.Record(Type.String(), Type.Unknown()),
      }),
      errors: [noTenantOfHost],
      errorShape,
    },
    (context) => {
      const tenant = known(context.tenant);
      return { tenant_id: tenant.key, hosts: [...tenant.hosts], config: configOf(tenant) };
    },
  ),

  r.post(
    "/admin/tenants",
    {
      permission: "public",
      context: "core",
      forCaller: true,
      audit: "tenant.created",
      summary: "Registers a tenant with its hosts",
      body: Type.Object({
        tenant_id: Type.String({ minLength: 1, maxLength: 63, examples: ["tenant-1"] }),
        hosts: Type.Array(Hostname, { minItems: 1, maxItems: 20, uniqueItems: true }),
      }),
      response: { 201: Type.Object({ message: Type.String(), tenant_id: Type.String() }) },
      errors: [hostNotRegistered, tenantNotRegistered, isolationNotPermitted, tooManyTenants],
      errorShape,
    },
    async (context) => {
      const { tenant_id: key, hosts } = context.body;
      try {
        const tenant = await makeTenant(context, { key, name: key, hosts, isolation: "schema" });
        return { message: "Tenant registered successfully", tenant_id: tenant.key };
      } catch (error) {
        if (isError(error, "host_taken", "reserved_host", "invalid_host")) {
          throw hostNotRegistered({ cause: error });
        }
        if (isError(error, "tenant_exists")) throw tenantNotRegistered({ cause: error });
        throw error;
      }
    },
  ),

  r.post(
    "/login",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.logged_in",
      summary: "Logs in with a session cookie",
      body: Type.Object({
        username: Type.String({ minLength: 1, maxLength: 254 }),
        password: Type.String({ minLength: 1, maxLength: 128 }),
      }),
      unknownTenant: (context) => refuseLogIn(context, context.body.password),
      response: Type.Object({ message: Type.String() }),
      errors: [invalidCredentials, noTenantOfHost],
      errorShape,
    },
    async ({ platform, request, body, header, audit, log, ...context }) => {
      const tenant = known(context.tenant);
      const { username: name, password } = body;
      const by = name.includes("@") ? "email" : "username";
      const deps = { platform, request, audit, log, browser: header };
      await logIn(deps, tenant, { by, name, password });
      return { message: "Login successful" };
    },
  ),
];

export const hostRouting = feature<Tables>("host-routing", {
  dependsOn: ["documents"],
  routes: ({ absolute: r }) => [
    ...openRoutes(r),

    r.post(
      "/api/documents",
      {
        permission: "documents:write",
        audit: { none: "everyday data" },
        summary: "Adds a document",
        body: Type.Object({
          title: nameText(300),
          content: Type.Optional(Type.String({ maxLength: 256 * 1024 })),
        }),
        response: { 201: Type.Object({ id: uuid }) },
        errorShape,
      },
      async ({ events, user, body }) => {
        const made = await events.recording("document.created", (db) =>
          createDocument.jsonOrThrow(db, { ...body, created_by: user.id }),
        );
        return { id: made.value().id };
      },
    ),

    r.get(
      "/api/profile",
      {
        permission: "authenticated",
        personal: false,
        summary: "Returns the current user, as cached for at most ten minutes",
        response: Profile,
        errorShape,
      },
      ({ db, tenant, user, cache }) =>
        cache.getOrSet(
          profileKey(user.id),
          async () => {
            const found = await findUser.first(db, { id: user.id });
            if (!found) throw userNotFound();
            const { id, email, username, first_name, last_name, role } = found;
            return { id, tenant: tenant.key, email, username, first_name, last_name, role };
          },
          { ttl: tenMinutes },
        ),
    ),

    r.post(
      "/logout",
      {
        permission: "authenticated",
        context: "any",
        personal: false,
        audit: "auth.logged_out",
        summary: "Ends the session and deletes the cookie",
        response: Type.Object({ message: Type.String() }),
        errorShape,
      },
      async ({ platform, credential, header }) => {
        await platform.sessions.end(credential.sessionId);
        if (credential.kind === "cookie") header("set-cookie", setCookie(sessionCookie, "", 0));
        return { message: "Logout successful" };
      },
    ),

    r.get(
      "/api/secure/data",
      {
        permission: "authenticated",
        personal: false,
        summary: "Returns the current user and tenant; refused in other tenants",
        response: Type.Object({ tenant: Type.String(), user_id: uuid, role: Type.String() }),
        errorShape,
      },
      ({ tenant, user }) => ({ tenant: tenant.key, user_id: user.id, role: user.role }),
    ),
  ],
});
