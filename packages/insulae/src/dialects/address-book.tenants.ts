/**
 * What the address book's client shows platform administrators: the tenants, by pages. A database's URL
 * that it sends is dropped unread: where a tenant's rows are is the server's to decide, and nothing here
 * says where that is.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import { Type } from "typebox";
import type { UserTables } from "../features/users/users.feature.ts";
import type { ControlTables } from "../kernel/database/control-tables.ts";
import { containing } from "../kernel/database/like.ts";
import type { RouteBuilder } from "../kernel/feature.ts";
import { validationFailed } from "../kernel/http/errors.ts";
import { nullable, timestamp } from "../kernel/http/fields.ts";
import { within } from "../kernel/http/health.ts";
import type { Platform } from "../kernel/platform.ts";
import { hostTaken, tenantExists, tenantNotFound } from "../kernel/tenancy/errors.ts";
import { Done, addressBookErrors as errorShape } from "./address-book.errors.ts";
import { makeDatabaseTenant } from "./master-tenant.ts";
import {
  bracketFilters,
  type Filter,
  filtersOf,
  listParts,
  partOf,
  partShown,
  showPart,
} from "./shared.ts";

const Name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^[^\\p{Cc}\\p{Zl}\\p{Zp}]+$",
});
const dropped = {
  db_url: Type.Optional(
    Type.String({ maxLength: 2000, description: "Dropped: the server places its tenants itself." }),
  ),
};
const status = Type.Union([Type.Literal("active"), Type.Literal("suspended")]);

const Tenant = Type.Object(
  {
    id: Type.String({ description: "The tenant's key." }),
    name: Type.String(),
    status,
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "AddressBookTenant" },
);
const TenantPage = Type.Object(
  { data: Type.Array(Tenant), offset: Type.Integer(), ...partShown },
  { $id: "AddressBookTenantPage" },
);
const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 63 }) });

const viewOf = (tenant: {
  readonly key: string;
  readonly name: string;
  readonly status: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}) => ({
  id: tenant.key,
  name: tenant.name,
  status: tenant.status,
  created_at: tenant.createdAt,
  updated_at: tenant.updatedAt,
});

const filterable = ["id", "name", "status"] as const;
const Text = Type.Optional(Type.String({ maxLength: 200 }));
const listQuery = { ...listParts, search: Text, status: Type.Optional(status) };
const filterQuery = { ...listQuery, id: Text, name: Text, ...bracketFilters(filterable) };

const columnOf = (field: string) => sql.ref(field === "id" ? "key" : field);
const has = (field: string, text: string) =>
  sql<SqlBool>`${columnOf(field)}::text ilike ${containing(text)}`;

function conditionOf({ field, operator, value }: Filter) {
  if (operator === "contains" || operator === "like") return has(field, value);
  const equal = sql<SqlBool>`lower(${columnOf(field)}::text) = lower(${value})`;
  return operator === "ne" ? sql<SqlBool>`not (${equal})` : equal;
}

type Wanted = Parameters<typeof partOf>[0] & {
  readonly search?: string;
  readonly status?: "active" | "suspended";
};

/** Those that live, newest first. */
async function pageOf(
  control: Kysely<ControlTables>,
  query: Wanted,
  conditions: ReturnType<typeof has>[] = [],
  defaultSize = 50,
) {
  const part = partOf(query, defaultSize);
  let found = control
    .selectFrom("control.tenants")
    .where("status", "in", query.status ? [query.status] : ["active", "suspended"]);
  const { search } = query;
  if (search) found = found.where(sql<SqlBool>`(${has("name", search)} or ${has("id", search)})`);
  for (const condition of conditions) found = found.where(condition);
  const [tenants, { total }] = await Promise.all([
    found
      .select(["id", "key", "name", "status"])
      .select(["created_at as createdAt", "updated_at as updatedAt"])
      .orderBy("id", "desc")
      .limit(part.size)
      .offset(part.offset)
      .execute(),
    found.select(sql<number>`count(*)::integer`.as("total")).executeTakeFirstOrThrow(),
  ]);
  return { tenants, shown: { offset: part.offset, ...showPart(part, total) } };
}

/** A key for who names none. */
function keyOf(name: string): string {
  const words =
    name
      .normalize("NFKC")
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  const key = words.join("_").slice(0, 63).replace(/_+$/, "");
  if (key !== "") return key;
  const message = "is required where the name has no letters a-z or digits to make it of";
  throw validationFailed({ errors: [{ pointer: "/body/id", message }] });
}

const admin = { permission: "platform", context: "core", errorShape } as const;

const managementRoutes = (
  r: RouteBuilder<UserTables>["absolute"],
  path: "/api/admin/tenants" | "/api/tenants",
) => [
  r.get(
    path,
    {
      ...admin,
      summary: "Lists tenants by pages, newest first",
      query: Type.Object(listQuery),
      response: TenantPage,
    },
    async ({ platform, query }) => {
      const { tenants, shown } = await pageOf(platform.control, query);
      return { data: tenants.map(viewOf), ...shown };
    },
  ),

  r.get(
    `${path}/filter`,
    {
      ...admin,
      summary: "Lists the tenants that have something in common, by pages, newest first",
      description: "`id` and `name` are parts of the text, in any case.",
      query: Type.Object(filterQuery),
      response: TenantPage,
    },
    async ({ platform, query }) => {
      const { id, name } = query;
      const conditions = [
        ...(id ? [has("id", id)] : []),
        ...(name ? [has("name", name)] : []),
        ...filtersOf(query).map(conditionOf),
      ];
      const { tenants, shown } = await pageOf(platform.control, query, conditions);
      return { data: tenants.map(viewOf), ...shown };
    },
  ),

  r.get(
    `${path}/:id`,
    { ...admin, summary: "Shows a tenant", params, response: Tenant, errors: [tenantNotFound] },
    async ({ platform, params }) => viewOf(await platform.tenants.get(params.id)),
  ),

  r.post(
    path,
    {
      ...admin,
      audit: "tenant.created",
      summary: "Makes a tenant with a database of its own",
      body: Type.Object({
        id: Type.Optional(
          Type.String({ minLength: 1, maxLength: 63, description: "Default: made of the name." }),
        ),
        name: Name,
        ...dropped,
      }),
      response: { 201: Tenant },
      errors: [tenantExists, hostTaken],
    },
    async (context) => {
      const { id, name } = context.body;
      const tenant = await makeDatabaseTenant(context, id ?? keyOf(name), name);
      const target = { type: "tenant", id: tenant.id };
      await context.audit({ action: "tenant.created", target, detail: { key: tenant.key } });
      return viewOf(tenant);
    },
  ),

  r.put(
    `${path}/:id`,
    {
      ...admin,
      audit: "tenant.changed",
      summary: "Renames a tenant",
      params,
      body: Type.Object({ name: Name, ...dropped }),
      response: Tenant,
      errors: [tenantNotFound],
    },
    async ({ platform, params, body: { name }, audit }) => {
      const { id } = await platform.tenants.get(params.id);
      const tenant = await platform.tenants.update(id, { name });
      await audit({ action: "tenant.changed", target: { type: "tenant", id }, detail: { name } });
      return viewOf(tenant);
    },
  ),

  r.delete(
    `${path}/:id`,
    {
      ...admin,
      audit: "tenant.deleted",
      summary: "Deletes a tenant; its rows are erased after the grace period",
      params,
      response: Done,
      errors: [tenantNotFound],
    },
    async ({ platform, params, audit }) => {
      const { id, key } = await platform.tenants.get(params.id);
      await platform.tenants.delete(id);
      await audit({ action: "tenant.deleted", target: { type: "tenant", id }, detail: { key } });
      return { message: "Tenant deleted" };
    },
  ),
];

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
    select id,
      (select count(distinct subject_id) from control.sessions
        where tenant_id = id and ended_at is null and expires_at > now())::integer as signed_in,
      (select amount from control.usage_daily
        where tenant_id = id and metric = 'users' order by day desc limit 1)::integer as users
    from unnest(${ids}::uuid[]) as id`.execute(control);
  return new Map(rows.map((row) => [row.id, row]));
}

const monitoringRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
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
        pageOf(control, query, [], 10),
        all.count({ status: "active" }),
      ]);
      const figures = await figuresOf(
        control,
        tenants.map(({ id }) => id),
      );
      const { offset: _offset, ...part } = shown;
      return {
        total_tenants: shown.total,
        active_tenants: active,
        tenant_stats: tenants.map(({ id, key, name }) => ({
          tenant_id: key,
          name,
          total_users: figures.get(id)?.users ?? null,
          logged_in_users: figures.get(id)?.signed_in ?? 0,
        })),
        ...part,
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
      const { tenants, shown } = await pageOf(platform.control, query, [], 10);
      const up: boolean[] = [];
      for (let at = 0; at < tenants.length; at += probesAtOnce) {
        const some = tenants.slice(at, at + probesAtOnce);
        up.push(...(await Promise.all(some.map(({ key }) => isReachable(platform, key)))));
      }
      const { offset: _offset, ...part } = shown;
      return {
        data: tenants.map(({ key, name }, at) => ({
          tenant_id: key,
          name,
          status: up[at],
          error_message: up[at] ? null : "Its database does not answer",
        })),
        ...part,
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
      const { tenants, shown } = await pageOf(platform.control, query, [], 10);
      const found = await Promise.all(tenants.map(({ key }) => platform.tenants.find(key)));
      const { offset: _offset, ...part } = shown;
      return {
        data: found.flatMap((tenant) =>
          tenant
            ? [
                {
                  tenant_id: tenant.key,
                  name: tenant.name,
                  status: tenant.status,
                  isolation: tenant.placement.isolation,
                },
              ]
            : [],
        ),
        ...part,
      };
    },
  ),
];

export const tenantRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
  ...managementRoutes(r, "/api/admin/tenants"),
  ...managementRoutes(r, "/api/tenants"),
  ...monitoringRoutes(r),
];
