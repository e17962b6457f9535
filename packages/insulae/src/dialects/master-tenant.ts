/**
 * The dialect of a system with one database per tenant and users in a master database.
 *
 * A registration that names no tenant creates a user of `DEFAULT_TENANT`. In development, the first
 * user of an empty tenant becomes its owner, since anybody may create tenants there. Timestamps are
 * in UTC, without zone and fraction.
 */
import { STATUS_CODES } from "node:http";
import { type Kysely, sql } from "kysely";
import { Type } from "typebox";
import { isolationNotPermitted, makeTenant } from "../features/tenants/tenants.feature.ts";
import {
  addUser,
  dropUser,
  Email,
  editUser,
  emailTaken,
  lastOwner,
  ownsTenant,
  PersonName,
  permissionNotHeld,
  roleAboveOwn,
  type UserTables,
  userNotFound,
} from "../features/users/users.feature.ts";
import { containing } from "../kernel/data/like.ts";
import { type ErrorShape, feature } from "../kernel/feature/feature.ts";
import { nameText, uuid } from "../kernel/feature/fields.ts";
import type { Json } from "../kernel/lib/json.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { hostTaken, tenantExists } from "../kernel/tenancy/errors.ts";
import { tooManyTenants } from "../kernel/tenancy/ownership.ts";
import { quotaExceeded } from "../kernel/tenancy/plans.ts";
import type { NewTenant } from "../kernel/tenancy/tenants.ts";
import { isError, messageOf, type PageNumbers, pageOf } from "./shared.ts";

export const masterErrors: ErrorShape = {
  schema: Type.Object(
    { error: Type.String(), message: Type.String(), status_code: Type.Integer() },
    { $id: "MasterTenantError" },
  ),
  bodyOf: (error) => ({
    error: STATUS_CODES[error.status],
    message: messageOf(error),
    status_code: error.status,
  }),
};

const time = Type.String({ examples: ["2024-01-01T12:00:00"] });

const profile = {
  id: uuid,
  email: Type.String(),
  first_name: Type.String(),
  last_name: Type.String(),
  created_at: time,
  updated_at: time,
};
export const Profile = Type.Object(profile, { $id: "MasterTenantProfile" });
export const Member = Type.Object(
  { ...profile, tenant_id: Type.String({ description: "The tenant's key." }) },
  { $id: "MasterTenantUser" },
);

interface Person {
  readonly id: string;
  readonly email: string;
  readonly first_name: string;
  readonly last_name: string;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const timeOf = (date: Date): string => date.toISOString().slice(0, 19);

export const profileOf = (person: Person) => ({
  id: person.id,
  email: person.email,
  first_name: person.first_name,
  last_name: person.last_name,
  created_at: timeOf(person.created_at),
  updated_at: timeOf(person.updated_at),
});

const memberOf = ({ key }: Tenant, person: Person) => ({ ...profileOf(person), tenant_id: key });

const columns = ["id", "email", "first_name", "last_name", "created_at", "updated_at"] as const;
type Db = Kysely<UserTables>;

/** One page of the tenant's users, oldest first, and their total number. */
export async function usersPage(db: Db, tenant: Tenant, query: PageNumbers) {
  const { page, size, offset } = pageOf(query);
  const [people, count] = await Promise.all([
    db.selectFrom("users").select(columns).orderBy("id").limit(size).offset(offset).execute(),
    countUsers(db),
  ]);
  return {
    users: people.map((person) => memberOf(tenant, person)),
    total_count: count,
    page,
    page_size: size,
  };
}

async function countUsers(db: Db, email?: string): Promise<number> {
  let users = db.selectFrom("users").select(sql<number>`count(*)::integer`.as("count"));
  if (email !== undefined) users = users.where("email", "ilike", containing(email));
  const { count } = await users.executeTakeFirstOrThrow();
  return count;
}

type WithTimesAsText = Omit<Person, "created_at" | "updated_at"> & {
  readonly created_at: string;
  readonly updated_at: string;
};

/** A user in this dialect's form. */
function memberIn(tenant: Tenant, answer: Json | undefined) {
  if (!answer) throw userNotFound();
  const person = answer.toJSON() as WithTimesAsText; // PostgreSQL made it of the columns of a user
  return memberOf(tenant, {
    ...person,
    created_at: new Date(person.created_at),
    updated_at: new Date(person.updated_at),
  });
}

/** `tenant_acme_corp`, unless the name is too long for PostgreSQL. */
function placementName(key: string): NewTenant["placementName"] {
  const name = `tenant_${key.toLowerCase().replaceAll("-", "_")}`;
  return name.length > 63 ? undefined : () => name;
}

type Making = Parameters<typeof makeTenant>[0];

export async function makeDatabaseTenant(
  context: Making,
  id: string,
  name: string,
): Promise<Tenant> {
  const wanted = { key: id, name, isolation: "database" } as const;
  try {
    return await makeTenant(context, { ...wanted, placementName: placementName(id) });
  } catch (error) {
    // The name is taken (perhaps by a deleted tenant that is still kept) or invalid: use the
    // default name.
    if (!isError(error, "placement_name_taken", "placement_name_invalid")) throw error;
    return makeTenant(context, wanted);
  }
}

const tenantViewOf = ({ key, name, status, createdAt, updatedAt }: Tenant) => ({
  id: key,
  name,
  status,
  created_at: timeOf(createdAt),
  updated_at: timeOf(updatedAt),
});

const errorShape = masterErrors;

export const masterTenant = feature<UserTables>("master-tenant", {
  routes: ({ absolute: r }) => [
    r.post(
      "/tenants",
      {
        permission: "public",
        context: "core",
        forCaller: true,
        audit: "tenant.created",
        summary: "Creates a tenant with its own database",
        body: Type.Object({
          id: Type.String({ minLength: 1, maxLength: 63, examples: ["acme_corp"] }),
          name: nameText(255),
        }),
        response: {
          201: Type.Object({
            id: Type.String(),
            name: Type.String(),
            status: Type.String(),
            created_at: time,
            updated_at: time,
          }),
        },
        errors: [tenantExists, hostTaken, isolationNotPermitted, tooManyTenants],
        errorShape,
      },
      async (context) => {
        const { id, name } = context.body;
        return tenantViewOf(await makeDatabaseTenant(context, id, name));
      },
    ),

    r.get(
      "/api/users/count",
      {
        permission: "users:read",
        summary: "Counts users, or those whose e-mail contains a text",
        query: Type.Object({ email: Type.Optional(Type.String({ maxLength: 254 })) }),
        response: Type.Object({ count: Type.Integer() }),
        errorShape,
      },
      async ({ db, query }) => ({ count: await countUsers(db, query.email) }),
    ),

    r.post(
      "/api/users",
      {
        permission: "users:write",
        impersonators: false,
        audit: "user.created",
        summary: "Adds a user without a password",
        body: Type.Object({
          email: Email,
          first_name: Type.Optional(PersonName),
          last_name: Type.Optional(PersonName),
        }),
        response: { 201: Member },
        errors: [emailTaken, permissionNotHeld, quotaExceeded],
        errorShape,
      },
      async (context) => {
        return memberIn(context.tenant, await addUser(context, context.body));
      },
    ),

    r.patch(
      "/api/users",
      {
        permission: "users:write",
        impersonators: false,
        audit: "user.changed",
        summary: "Changes the user whose id is in the body",
        body: Type.Object(
          {
            id: uuid,
            email: Type.Optional(Email),
            first_name: Type.Optional(PersonName),
            last_name: Type.Optional(PersonName),
          },
          { minProperties: 2 },
        ),
        response: Member,
        errors: [userNotFound, emailTaken, roleAboveOwn, permissionNotHeld, quotaExceeded],
        errorShape,
      },
      async (context) => {
        const { id, ...changes } = context.body;
        return memberIn(context.tenant, await editUser(context, { id }, changes));
      },
    ),

    r.delete(
      "/api/users",
      {
        permission: "users:write",
        audit: "user.deleted",
        summary: "Deletes the user whose id is in the query",
        query: Type.Object({ id: uuid }),
        response: { 204: null },
        errors: [userNotFound, lastOwner, ownsTenant, roleAboveOwn, permissionNotHeld],
        errorShape,
      },
      (context) => dropUser(context, context.query),
    ),
  ],
});
