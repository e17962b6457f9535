/**
 * The address book's tenants, page by page, for platform administrators. A database URL that its
 * client sends is ignored: the server decides where a tenant's rows are, and nothing here reveals
 * it.
 */
import { type Kysely, type SqlBool, sql } from "kysely";
import { Type } from "typebox";
import type { UserTables } from "../features/users/users.feature.ts";
import { containing } from "../kernel/data/like.ts";
import type { RouteBuilder } from "../kernel/feature/feature.ts";
import { nameText, timestamp } from "../kernel/feature/fields.ts";
import { validationFailed } from "../kernel/lib/http-errors.ts";
import { normalised } from "../kernel/lib/text.ts";
import type { TenantStatus } from "../kernel/model/tenant.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
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

const Name = nameText(255);
const dropped = {
  db_url: Type.Optional(
    Type.String({ maxLength: 2000, description: "Ignored: the server places tenants itself." }),
  ),
};
export const status = Type.Union([Type.Literal("active"), Type.Literal("suspended")]);

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
  { data: Type.Array(Tenant), ...partShown },
  { $id: "AddressBookTenantPage" },
);
/** The client's pager, which asks by `offset`, reads the whole response from `data`. */
const TenantsFromOffset = Type.Object(
  { data: Type.Object({ ...TenantPage.properties, offset: Type.Integer() }) },
  { $id: "AddressBookTenantsFromOffset" },
);
const Tenants = Type.Union([TenantPage, TenantsFromOffset]);
const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 63 }) });

const viewOf = (tenant: {
  readonly key: string;
  readonly name: string;
  readonly status: TenantStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}) => ({
  id: tenant.key,
  name: tenant.name,
  // Only active and suspended tenants are listed.
  status: tenant.status === "active" ? ("active" as const) : ("suspended" as const),
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

/** Living tenants, newest first. */
export async function tenantPage(
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
  return { tenants, shown: showPart(part, total) };
}

function answerOf({ offset }: Wanted, { tenants, shown }: Awaited<ReturnType<typeof tenantPage>>) {
  const page = { data: tenants.map(viewOf), ...shown };
  return offset === undefined ? page : { data: { ...page, offset } };
}

/** Generates a key from the name. */
function keyOf(name: string): string {
  const words =
    normalised(name)
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  const cut = words.join("_").slice(0, 63);
  const key = cut.endsWith("_") ? cut.slice(0, -1) : cut;
  if (key !== "") return key;
  const message = "is required if the name has no letters a-z or digits to derive it from";
  throw validationFailed({ errors: [{ pointer: "/body/id", message }] });
}

export const admin = { permission: "platform", context: "core", errorShape } as const;

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
      response: Tenants,
    },
    async ({ platform, query }) => {
      return answerOf(query, await tenantPage(platform.control, query));
    },
  ),

  r.get(
    `${path}/filter`,
    {
      ...admin,
      summary: "Lists the tenants that match all given fields, by pages, newest first",
      description: "`id` and `name` match parts of the text, ignoring case.",
      query: Type.Object(filterQuery),
      response: Tenants,
    },
    async ({ platform, query }) => {
      const { id, name } = query;
      const conditions = [
        ...(id ? [has("id", id)] : []),
        ...(name ? [has("name", name)] : []),
        ...filtersOf(query).map(conditionOf),
      ];
      return answerOf(query, await tenantPage(platform.control, query, conditions));
    },
  ),

  r.get(
    `${path}/:id`,
    { ...admin, summary: "Returns a tenant", params, response: Tenant, errors: [tenantNotFound] },
    async ({ platform, params }) => viewOf(await platform.tenants.get(params.id)),
  ),

  r.post(
    path,
    {
      ...admin,
      audit: "tenant.created",
      summary: "Creates a tenant with its own database",
      body: Type.Object({
        id: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 63,
            description: "Default: derived from the name.",
          }),
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
      summary: "Deletes a tenant. Its rows are erased after the grace period.",
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

export const tenantRoutes = (r: RouteBuilder<UserTables>["absolute"]) => [
  ...managementRoutes(r, "/api/admin/tenants"),
  ...managementRoutes(r, "/api/tenants"),
];
