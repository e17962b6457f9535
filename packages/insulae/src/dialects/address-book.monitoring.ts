/**
 * Monitoring of tenants for platform administrators, page by page, as the address book's client
 * shows it.
 */
import { type Kysely, sql } from "kysely";
import { Type } from "typebox";
import type { UserTables } from "../features/users/users.feature.ts";
import type { RouteBuilder } from "../kernel/feature/feature.ts";
import { nullable } from "../kernel/feature/fields.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { within } from "../kernel/http/server/health.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
import { admin, status, tenantPage } from "./address-book.tenants.ts";
import { listParts, partShown } from "./shared.ts";

/** The timeout for a tenant's database, and how many are checked in parallel. */
const probeMs = 2_000;
const probesAtOnce = 5;
/** Pages for requests that examine each tenant. */
const lookedInto = {
  ...listParts,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
};

async function isReachable({ withTenant }: Platform, key: string): Promise<boolean> {
  const probe = () => withTenant(key, ({ db }) => sql`select 1`.execute(db));
  return within(probe, probeMs).then(
    () => true,
    () => false,
  );
}

/** The number of signed-in users, and the last measured number of users, of each tenant. */
async function figuresOf(control: Kysely<ControlTables>, ids: readonly string[]) {
  const { rows } = await sql<{ id: string; signed_in: number; users: number | null }>`
    select wanted.id,
      (select count(distinct subject_id) from control.sessions
        where tenant_id = wanted.id and ended_at is null and expires_at > now())::integer as signed_in,
      (select amount from control.usage_daily
        where tenant_id = wanted.id and metric = 'users' order by day desc limit 1)::integer as users
    from unnest(${ids}::uuid[]) as wanted (id)`.execute(control);
  return new Map(rows.map((row) => [row.id, row]));
}

export const monitoringRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
  r.get(
    "/api/admin/tenant/stats",
    {
      ...admin,
      summary: "Counts tenants, and by pages who uses them",
      query: Type.Object(lookedInto),
      response: Type.Object({
        total_tenants: Type.Integer(),
        active_tenants: Type.Integer(),
        tenant_stats: Type.Array(
          Type.Object({
            tenant_id: Type.String(),
            name: Type.String(),
            total_users: nullable(
              Type.Integer({ description: "The last measured value; null: not measured yet." }),
            ),
            logged_in_users: Type.Integer(),
          }),
        ),
        ...partShown,
      }),
    },
    async ({ platform: { control, tenants: all }, query }) => {
      const [{ tenants, shown }, active] = await Promise.all([
        tenantPage(control, query, [], 10),
        all.count({ status: "active" }),
      ]);
      const figures = await figuresOf(
        control,
        tenants.map(({ id }) => id),
      );
      return {
        total_tenants: shown.total,
        active_tenants: active,
        tenant_stats: tenants.map(({ id, key, name }) => ({
          tenant_id: key,
          name,
          total_users: figures.get(id)?.users ?? null,
          logged_in_users: figures.get(id)?.signed_in ?? 0,
        })),
        ...shown,
      };
    },
  ),

  r.get(
    "/api/admin/tenant/health",
    {
      ...admin,
      summary: "Reports by pages whether tenants' databases respond",
      query: Type.Object(lookedInto),
      response: Type.Object({
        data: Type.Array(
          Type.Object({
            tenant_id: Type.String(),
            name: Type.String(),
            status: Type.Boolean({ description: "Whether its database responds." }),
            error_message: nullable(Type.String()),
          }),
        ),
        ...partShown,
      }),
    },
    async ({ platform, query }) => {
      const { tenants, shown } = await tenantPage(platform.control, query, [], 10);
      const up: boolean[] = [];
      for (let at = 0; at < tenants.length; at += probesAtOnce) {
        const some = tenants.slice(at, at + probesAtOnce);
        up.push(...(await Promise.all(some.map(({ key }) => isReachable(platform, key)))));
      }
      return {
        data: tenants.map(({ key, name }, at) => ({
          tenant_id: key,
          name,
          status: up[at] === true,
          error_message: up[at] ? null : "Its database does not respond",
        })),
        ...shown,
      };
    },
  ),

  r.get(
    "/api/admin/tenant/status",
    {
      ...admin,
      summary: "Reports by pages tenants' status and isolation",
      query: Type.Object(lookedInto),
      response: Type.Object({
        data: Type.Array(
          Type.Object({
            tenant_id: Type.String(),
            name: Type.String(),
            status,
            isolation: Type.String(),
          }),
        ),
        ...partShown,
      }),
    },
    async ({ platform, query }) => {
      const { tenants, shown } = await tenantPage(platform.control, query, [], 10);
      const found = await Promise.all(tenants.map(({ key }) => platform.tenants.find(key)));
      return {
        data: found.flatMap((tenant) =>
          tenant
            ? [
                {
                  tenant_id: tenant.key,
                  name: tenant.name,
                  status: tenant.status === "active" ? ("active" as const) : ("suspended" as const),
                  isolation: tenant.placement.isolation,
                },
              ]
            : [],
        ),
        ...shown,
      };
    },
  ),
];
