/** What the address book's client shows platform administrators of how tenants are, by pages. */
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

/** How long a tenant's database may take, and how many are asked at once. */
const probeMs = 2_000;
const probesAtOnce = 5;
/** Of tenants that are looked into, in one answer. */
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

/** How many are signed in, and how many users there were when they were last counted. */
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
              Type.Integer({ description: "As last measured; null: not yet." }),
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
      summary: "Says by pages whether tenants' databases answer",
      query: Type.Object(lookedInto),
      response: Type.Object({
        data: Type.Array(
          Type.Object({
            tenant_id: Type.String(),
            name: Type.String(),
            status: Type.Boolean({ description: "Whether its database answers." }),
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
          error_message: up[at] ? null : "Its database does not answer",
        })),
        ...shown,
      };
    },
  ),

  r.get(
    "/api/admin/tenant/status",
    {
      ...admin,
      summary: "Says by pages which tenants are active, and how they are kept apart",
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
