/** One tenant, for platform administrators: where it is, who owns it, and how to get it back. */
import { sql } from "kysely";
import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantExists, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { notRestorable } from "../../kernel/tenancy/tenant-restore.ts";
import { TenantParams, TenantView, viewOf } from "./tenants.schemas.ts";

/** Users and sessions are counted up to this number. */
const mostCounted = 10_000;

const TenantDetail = Type.Object(
  {
    ...TenantView.properties,
    placement: Type.Object({
      server: Type.String(),
      database: Type.String(),
      schema: Type.String(),
      version: Type.Integer({ description: "The number of migrations that it has." }),
    }),
    owner: nullable(Type.Object({ id: uuid, email: Type.String() })),
    users: nullable(
      Type.Integer({ description: "At most 10,000; null while its database can't be reached." }),
    ),
    sessions: Type.Integer({ description: "Open ones; at most 10,000." }),
    last_request_at: Type.Union([timestamp, Type.Null()], {
      description: "When one of its sessions was last opened or refreshed.",
    }),
  },
  { $id: "TenantDetail" },
);

const platformOnly = { permission: "platform", context: "core" } as const;

export const platformTenantRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/platform/tenants/:id",
    {
      ...platformOnly,
      summary: "Returns a tenant with its placement, owner and activity",
      description: "A deleted tenant, until its rows are erased, is found by its id alone.",
      params: TenantParams,
      response: TenantDetail,
      errors: [tenantNotFound],
    },
    async ({ platform, params, log }) => {
      const tenant = await getAny(platform, params.id);
      const { serverId, database, schema, version } = tenant.placement;
      const [owner, activity, users] = await Promise.all([
        findOwner(platform, tenant),
        findActivity(platform, tenant),
        countUsers(platform, tenant).catch((error: unknown) => {
          log.warn({ err: error, tenant_id: tenant.id }, "Could not count a tenant's users");
          return null;
        }),
      ]);
      const server = platform.servers.nameOf(serverId);
      return {
        ...viewOf(tenant),
        placement: { server, database, schema, version },
        owner: owner ?? null,
        users,
        ...activity,
      };
    },
  ),

  r.post(
    "/platform/tenants/:id/restore",
    {
      ...platformOnly,
      audit: "tenant.restored",
      summary: "Restores a deleted tenant whose rows are not erased yet",
      description:
        "It is active again, with its rows and users. What was given up with it stays so: its hosts, client certificates and e-mail domains.",
      params: Type.Object({ id: uuid }),
      response: TenantView,
      errors: [tenantNotFound, notRestorable, tenantExists],
    },
    async ({ platform, params, audit }) => {
      // The id is the client's text; the query finds out whether it is a tenant's.
      const restored = await platform.tenants.restore(params.id as TenantId);
      const detail = { key: restored.key };
      await audit({
        action: "tenant.restored",
        target: { type: "tenant", id: restored.id },
        detail,
      });
      return viewOf(restored);
    },
  ),
];

/** @throws tenantNotFound */
async function getAny({ tenants }: Platform, reference: string): Promise<Tenant> {
  const found = (await tenants.find(reference)) ?? (await tenants.findDeleted(reference));
  if (!found) throw tenantNotFound();
  return found;
}

const findOwner = async ({ control }: Platform, { ownerAccountId }: Tenant) =>
  ownerAccountId &&
  control
    .selectFrom("control.accounts")
    .select(["id", "email"])
    .where("id", "=", ownerAccountId)
    .executeTakeFirst();

async function findActivity({ control }: Platform, { id }: Tenant) {
  const { rows } = await sql<{ sessions: number; last_request_at: Date | null }>`
    select (select count(*)::int from (
        select from control.sessions
        where tenant_id = ${id} and ended_at is null and expires_at > now()
        limit ${sql.lit(mostCounted)}) as counted) as sessions,
      (select max(last_used_at) from control.sessions where tenant_id = ${id}) as last_request_at
  `.execute(control);
  return rows[0] ?? { sessions: 0, last_request_at: null };
}

const countUsers = async ({ withTenant }: Platform, tenant: Tenant): Promise<number> =>
  withTenant(tenant, async ({ db }) => {
    const [found] = await db.query<{ users: number }>(
      `select count(*)::int as users from (select from users limit ${mostCounted}) as counted`,
    );
    return found?.users ?? 0;
  });
