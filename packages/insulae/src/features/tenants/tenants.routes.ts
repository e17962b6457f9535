import { isDeepStrictEqual } from "node:util";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { fitting, pageOf } from "../../kernel/feature/page.ts";
import { permissionDenied } from "../../kernel/identity/errors.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import {
  hostTaken,
  settingsTooLarge,
  tenantExists,
  tenantNotFound,
} from "../../kernel/tenancy/errors.ts";
import { tooManyTenants } from "../../kernel/tenancy/ownership.ts";
import { serverUnavailable } from "../../kernel/tenancy/provisioning.ts";
import { noServerAccepts, serverNotFound } from "../../kernel/tenancy/servers.ts";
import { measureTenant } from "../../kernel/usage/measure.ts";
import { permissionNotHeld, roleAboveOwn } from "../users/users.feature.ts";
import {
  isolationNotPermitted,
  makeTenant,
  noOtherWayIn,
  refuseGivingMore,
  refuseLockOut,
  refuseUnlessAdmin,
  tenantFor,
} from "./tenants.access.ts";
import {
  NewTenantBody,
  TenantChangesBody,
  TenantConfigView,
  TenantListQuery,
  TenantParams,
  TenantView,
  viewOf,
} from "./tenants.schemas.ts";

/** In bytes. Most of it is for the settings. */
const bodyLimit = 128 * 1024;

export const tenantRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/tenants",
    {
      permission: "platform",
      context: "core",
      summary: "Lists tenants",
      description:
        "`q` finds tenants by their id, and by what their key, name or one of their hosts begins with, ignoring case; it looks at the first 1,000 of each. Without `status`, active and suspended tenants are listed; `deleted` lists those whose rows are not erased yet.",
      query: TenantListQuery,
      response: pageOf(TenantView),
      errors: [serverNotFound],
    },
    async ({ platform, query, page }) => {
      const { limit, after, cursor } = page;
      const { q: search, status, plan, isolation, server, order } = query;
      const serverId = server === undefined ? undefined : await platform.servers.idOf(server);
      const wanted = { search, status, plan, isolation, serverId };
      const found = await platform.tenants.list({
        ...{ ...wanted, order, after: after[0], limit: limit + 1 },
      });
      const items = fitting(found.slice(0, limit).map(viewOf));
      const last = items.at(-1);
      return {
        items,
        next_cursor: last && found.length > items.length ? cursor.encode([last.id]) : null,
        ...(query.total && { total: await platform.tenants.count(wanted) }),
      };
    },
  ),

  r.post(
    "/tenants",
    {
      permission: "public",
      context: "core",
      forCaller: true,
      audit: "tenant.created",
      summary: "Creates a tenant",
      description:
        "In development anybody may create one: without a credential it belongs to no account. In production it takes an account, which then owns the tenant and is its first user, with the role `owner`. The installation limits how many tenants an account may own (`TENANTS_PER_ACCOUNT`) and the isolation that a plan allows (`PLAN_ISOLATIONS`); platform administrators are exempt.",
      body: NewTenantBody,
      bodyLimit,
      response: { 201: TenantView },
      errors: [
        tenantExists,
        hostTaken,
        permissionDenied,
        noOtherWayIn,
        tooManyTenants,
        isolationNotPermitted,
        serverNotFound,
        serverUnavailable,
        noServerAccepts,
        settingsTooLarge,
      ],
    },
    async (context) => viewOf(await makeTenant(context, context.body)),
  ),

  r.get(
    "/tenants/:id",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      summary: "Returns a tenant",
      params: TenantParams,
      response: TenantView,
      etag: true,
      errors: [tenantNotFound],
    },
    async ({ platform, user, params }) =>
      viewOf(await tenantFor(platform, user, params.id, "tenants:read")),
  ),

  r.get(
    "/tenants/:id/config",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      summary: "Returns a tenant's name, plan and settings",
      description: "Read through Redis, if configured, under the key `tenant:{id}:config`.",
      params: TenantParams,
      response: TenantConfigView,
      errors: [tenantNotFound],
    },
    async ({ platform, user, params }) => {
      const { id } = await tenantFor(platform, user, params.id, "tenants:read");
      return platform.tenants.config(id);
    },
  ),

  ...(["put", "patch"] as const).map((method) =>
    r[method](
      "/tenants/:id",
      {
        permission: "authenticated",
        context: "any",
        audit: "tenant.changed",
        summary: "Changes a tenant's name, settings or (platform administrators) plan",
        description: `${method === "put" ? "The settings that you give replace all others" : "A setting or group of settings (`features`, `branding`, …) that you give replaces the one of its name; the others stay"}. \`limits\` stay unless given.`,
        params: TenantParams,
        body: TenantChangesBody,
        bodyLimit,
        response: TenantView,
        errors: [
          ...[tenantNotFound, permissionDenied, noOtherWayIn, settingsTooLarge],
          ...[roleAboveOwn, permissionNotHeld],
        ],
      },
      async ({ platform, user, params, body, audit, precondition, log }) => {
        const tenant = await tenantFor(platform, user, params.id, "tenants:manage");
        const replaceSettings = method === "put";
        const { limits, ...settings } = body.settings ?? {};
        // Sending back unchanged limits is not a change.
        const same = isDeepStrictEqual(limits, tenant.settings.limits);
        refuseUnlessAdmin(user, body.plan, same ? undefined : limits);
        await refuseLockOut(platform, tenant, settings);
        const changed = await platform.tenants.update(
          tenant.id,
          {
            ...body,
            replaceSettings,
            ...(body.settings && { settings: { ...settings, ...(!same && limits && { limits }) } }),
          },
          (current) => {
            precondition?.(viewOf(current));
            if (!body.settings) return;
            const wanted = replaceSettings ? settings : { ...current.settings, ...settings };
            refuseGivingMore(platform, user, current, wanted);
          },
        );
        const detail = changesOf(tenant, changed);
        await audit({ action: "tenant.changed", target: targetOf(changed), detail });
        if (platform.plans.settingOf(changed) !== undefined) {
          // With a new quota, the counters must be measured; otherwise each refused statement would
          // count all rows.
          await measureTenant(platform, changed).catch((error: unknown) =>
            log.warn({ err: error }, "Could not measure the tenant now; the hourly job will"),
          );
        }
        return viewOf(changed);
      },
    ),
  ),

  r.delete(
    "/tenants/:id",
    {
      permission: "platform",
      context: "core",
      audit: "tenant.deleted",
      summary: "Deletes a tenant. Its rows are erased after the grace period.",
      params: TenantParams,
      response: { 204: null },
      errors: [tenantNotFound],
    },
    async ({ platform, params, audit, precondition }) => {
      const tenant = await platform.tenants.get(params.id);
      await platform.tenants.delete(
        tenant.id,
        precondition && ((current) => precondition(viewOf(current))),
      );
      const detail = { key: tenant.key };
      await audit({ action: "tenant.deleted", target: targetOf(tenant), detail });
    },
  ),

  ...(
    [
      ["suspend", "tenant.suspended"],
      ["resume", "tenant.resumed"],
    ] as const
  ).map(([action, audited]) =>
    r.post(
      `/tenants/:id/${action}`,
      {
        permission: "platform",
        context: "core",
        audit: audited,
        summary: action === "suspend" ? "Suspends a tenant" : "Resumes a suspended tenant",
        params: TenantParams,
        response: TenantView,
        errors: [tenantNotFound],
      },
      async ({ platform, params, audit }) => {
        const { id } = await platform.tenants.get(params.id);
        const changed = await platform.tenants[action](id);
        await audit({ action: audited, target: targetOf(changed) });
        return viewOf(changed);
      },
    ),
  ),
];

const targetOf = ({ id }: Tenant) => ({ type: "tenant", id });

/** The changed properties for the audit log; short values with their old and new state. */
function changesOf(before: Tenant, after: Tenant): Readonly<Record<string, unknown>> {
  const from = { name: before.name, plan: before.plan, ...namedSettings(before) };
  const to = { name: after.name, plan: after.plan, ...namedSettings(after) };
  const changed = Object.keys({ ...from, ...to }).filter(
    (name) => !isDeepStrictEqual(Reflect.get(from, name), Reflect.get(to, name)),
  );
  const values = changed
    .map((name) => [name, { from: Reflect.get(from, name), to: Reflect.get(to, name) }] as const)
    .filter(([, value]) => typeof value.from !== "object" && typeof value.to !== "object");
  return { changed, ...Object.fromEntries(values) };
}

const namedSettings = ({ settings }: Tenant) =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [`settings.${name}`, value]));
