import { type ColumnType, type Insertable, type Kysely, sql, type Updateable } from "kysely";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { UserTables } from "../users/users.feature.ts";

export interface RoleTables extends UserTables {
  roles: {
    id: ColumnType<string, never, never>;
    name: string;
    description: ColumnType<string, string | undefined, string>;
    permissions: string[];
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
  user_roles: {
    user_id: UserId;
    role_id: string;
    assigned_at: ColumnType<Date, never, never>;
  };
}

export type Db = Kysely<RoleTables>;

const columns = ["id", "name", "description", "permissions", "created_at", "updated_at"] as const;

/** One of the tenant's own roles. */
export type RoleRow = NonNullable<Awaited<ReturnType<typeof findRole.first>>>;

/** One page, sorted by name. */
export const listRoles = statement(
  (db: Db, p: Params<{ limit: number; after?: string | undefined }>) => {
    const roles = db.selectFrom("roles").select(columns);
    const page = roles.orderBy(sql`app.sort_key(name)`).orderBy(sql`lower(name)`).limit(p.limit);
    if (!given(p.after)) return page;
    return page.where(
      sql<boolean>`(app.sort_key(name), lower(name)) > (app.sort_key(${p.after}), lower(${p.after}))`,
    );
  },
);

export const findRole = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("roles").select(columns).where("id", "=", p.id),
);

export const findRoleByName = statement((db: Db, p: Params<{ name: string }>) =>
  db.selectFrom("roles").select(columns).where(sql<boolean>`lower(name) = lower(${p.name})`),
);

/** The role, locked until the transaction ends. */
export const lockRole = (tx: Db, id: string) =>
  tx.selectFrom("roles").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();

export const createRole = statement((db: Db, p: Params<Insertable<RoleTables["roles"]>>) =>
  db.insertInto("roles").values(onlyGiven(p)).returning(columns),
);

export type RoleChanges = Updateable<RoleTables["roles"]>;

export const updateRole = statement(
  (db: Db, { id, ...changes }: Params<RoleChanges & { id: string }>) =>
    db.updateTable("roles").set(onlyGiven(changes)).where("id", "=", id).returning(columns),
);

export const deleteRole = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("roles").where("id", "=", p.id),
);

export const findSystemRole = statement((db: Db, p: Params<{ userId: UserId }>) =>
  db.selectFrom("users").select("role").where("id", "=", p.userId),
);

export const listRolesOfUser = statement((db: Db, p: Params<{ userId: UserId }>) =>
  db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "role_id")
    .select(columns.map((column) => `roles.${column}` as const))
    .where("user_id", "=", p.userId)
    .orderBy(sql`lower(roles.name)`),
);

export const assignRole = statement((db: Db, p: Params<{ user_id: UserId; role_id: string }>) =>
  db
    .insertInto("user_roles")
    .values(onlyGiven(p))
    .onConflict((conflict) => conflict.doNothing()),
);

export const unassignRole = statement((db: Db, p: Params<{ userId: UserId; roleId: string }>) =>
  db
    .deleteFrom("user_roles")
    .where("user_id", "=", p.userId)
    .where("role_id", "=", p.roleId)
    .returning("role_id"),
);
