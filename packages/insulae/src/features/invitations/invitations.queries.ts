import { type ColumnType, type Generated, type Insertable, type Kysely, sql } from "kysely";
import { given, type Params, statement } from "../../kernel/data/statement.ts";
import type { SystemRole } from "../../kernel/feature/feature.ts";
import type { Page } from "../../kernel/feature/page.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { RoleTables } from "../roles/roles.feature.ts";

export interface InvitationTables extends RoleTables {
  invitations: {
    id: ColumnType<string, never, never>;
    email: string;
    role: SystemRole;
    role_ids: string[];
    sent_by: UserId | null;
    sendings: Generated<number>;
    expires_at: ColumnType<Date, Date, Date>;
    created_at: ColumnType<Date, never, never>;
  };
}

export type Db = Kysely<InvitationTables>;

/** The names of the invitation's own roles, sorted. */
const roleNames = sql<string[]>`array(
  select name from roles where roles.id = any(invitations.role_ids) order by app.sort_key(name)
)`.as("roles");

/**
 * Nobody can accept it: its sender is gone, or the invited person has become a user since. An
 * invitation to somebody who was a user before stays valid here, so that inviters can't find out
 * who is one.
 */
const isVoid = sql<boolean>`(invitations.sent_by is null or exists (
  select from users
  where users.email = invitations.email and users.created_at > invitations.created_at))`;

const state = sql<"waiting" | "expired" | "void">`case
  when ${isVoid} then 'void' when expires_at <= now() then 'expired' else 'waiting'
end`.as("state");

const selectViews = (db: Db) =>
  db
    .selectFrom("invitations")
    .select(["id", "email", "role", roleNames, "sent_by", state, "expires_at", "created_at"]);

const newestInvitations = statement(
  (db: Db, p: Params<{ limit: number; after?: string | undefined }>) => {
    const page = selectViews(db).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

/** One page, newest first, including expired invitations, which can be sent again. */
export const listInvitations = (db: Db, { limit, after, cursor }: Page) =>
  newestInvitations.page(
    db,
    { limit, after: after[0] },
    { limit, cursor, key: (invitation) => [invitation.id] },
  );

/** The invitation as clients see it. */
export const findView = (db: Db, id: string) =>
  selectViews(db).where("id", "=", id).executeTakeFirst();

/** @returns its id, or undefined if this e-mail has an open invitation already */
export async function insertInvitation(
  tx: Db,
  values: Insertable<InvitationTables["invitations"]>,
): Promise<string | undefined> {
  await tx
    .deleteFrom("invitations")
    .where("email", "=", values.email)
    .where((eb) => eb.or([eb("expires_at", "<=", sql<Date>`now()`), isVoid]))
    .execute();
  const made = await tx
    .insertInto("invitations")
    .values(values)
    .onConflict((conflict) => conflict.constraint("invitations_email_key").doNothing())
    .returning("id")
    .executeTakeFirst();
  return made?.id;
}

const columns = ["id", "email", "role", "role_ids", "sent_by", "sendings", "expires_at"] as const;

/** All permissions of the roles that still exist, possibly with duplicates. */
const addedPermissions = sql<string[]>`array(
  select unnest(roles.permissions) from roles where roles.id = any(invitations.role_ids)
)`.as("added");

export type InvitationRow = NonNullable<Awaited<ReturnType<typeof findInvitation>>>;

const selectInvitation = (db: Db, id: string) =>
  db
    .selectFrom("invitations")
    .select([...columns, addedPermissions, sql<boolean>`expires_at <= now()`.as("expired")])
    .where("id", "=", id);

export const findInvitation = (db: Db, id: string) => selectInvitation(db, id).executeTakeFirst();

/** The invitation, locked until the transaction ends. */
export const lockInvitation = (tx: Db, id: string) =>
  selectInvitation(tx, id).forUpdate().executeTakeFirst();

export const renewInvitation = (tx: Db, id: string, sentBy: UserId, expiresAt: Date) =>
  tx
    .updateTable("invitations")
    .set((eb) => ({ sendings: eb("sendings", "+", 1), sent_by: sentBy, expires_at: expiresAt }))
    .where("id", "=", id)
    .returning(["email", "sendings"])
    .executeTakeFirstOrThrow();

export const deleteInvitation = (tx: Db, id: string) =>
  tx.deleteFrom("invitations").where("id", "=", id).execute();

/** Grants the user those of the invitation's roles that still exist. */
export const giveRoles = (tx: Db, userId: UserId, roleIds: readonly string[]) =>
  tx
    .insertInto("user_roles")
    .columns(["user_id", "role_id"])
    .expression((eb) =>
      eb
        .selectFrom("roles")
        .select([sql<UserId>`${userId}::uuid`.as("user_id"), "id"])
        .where("id", "in", [...roleIds]),
    )
    .execute();
