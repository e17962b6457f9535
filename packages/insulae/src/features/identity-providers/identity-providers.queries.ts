import { type ColumnType, type Generated, type Insertable, type Kysely, sql } from "kysely";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { RoleTables } from "../roles/roles.feature.ts";
import type { GivenRole, RoleMapping } from "./role-mapping.ts";

export interface IdentityTables extends RoleTables {
  identity_providers: {
    id: ColumnType<string, never, never>;
    name: string;
    issuer: string;
    client_id: string;
    sealed_secret: string;
    scopes: string[];
    allowed_domains: string[];
    trust_email: boolean;
    create_users: boolean;
    default_role: GivenRole;
    role_mapping: ColumnType<RoleMapping | null, string | null, string | null>;
    update_roles: boolean;
    trust_second_factor: boolean;
    second_factor_acr: string[];
    enabled: Generated<boolean>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
  identities: {
    id: ColumnType<string, never, never>;
    user_id: UserId;
    issuer: string;
    subject: string;
    created_at: ColumnType<Date, never, never>;
    last_used_at: ColumnType<Date, never, Date>;
  };
}

export type Db = Kysely<IdentityTables>;

export type ProviderRow = NonNullable<Awaited<ReturnType<typeof findProvider>>>;
export type ProviderValues = Insertable<IdentityTables["identity_providers"]>;

const columns = [
  "id",
  "name",
  "issuer",
  "client_id",
  "sealed_secret",
  "scopes",
  "allowed_domains",
  "trust_email",
  "create_users",
  "default_role",
  "role_mapping",
  "update_roles",
  "trust_second_factor",
  "second_factor_acr",
  "enabled",
  "created_at",
  "updated_at",
] as const;

export const findProvider = (db: Db, id: string) =>
  db.selectFrom("identity_providers").select(columns).where("id", "=", id).executeTakeFirst();

/** The provider's row, locked until the transaction ends. */
export const lockProvider = (tx: Db, id: string) =>
  tx
    .selectFrom("identity_providers")
    .select(columns)
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();

/** All providers of the tenant. */
export const listProviders = (db: Db) =>
  db.selectFrom("identity_providers").select(columns).orderBy("id").execute();

/** Whether the tenant has a provider to sign in with. */
export const hasProvider = async (db: Db): Promise<boolean> =>
  (await db
    .selectFrom("identity_providers")
    .select("id")
    .where("enabled", "=", true)
    .executeTakeFirst()) !== undefined;

export const insertProvider = (db: Db, values: ProviderValues) =>
  db.insertInto("identity_providers").values(values).returning(columns).executeTakeFirstOrThrow();

export const updateProvider = (db: Db, id: string, values: Partial<ProviderValues>) =>
  db
    .updateTable("identity_providers")
    .set(values)
    .where("id", "=", id)
    .returning(columns)
    .executeTakeFirstOrThrow();

export const deleteProvider = (db: Db, id: string) =>
  db.deleteFrom("identity_providers").where("id", "=", id).execute();

/**
 * Serialises the sign-ins of one person until the transaction ends. Concurrent first sign-ins
 * create both a user and an identity and could otherwise deadlock.
 */
export const takeTurn = (tx: Db, email: string) =>
  sql`select pg_advisory_xact_lock(hashtextextended(${email}, 0) # hashtextextended(app.current_tenant_id()::text, 1))`.execute(
    tx,
  );

/** The user with this identity, locked until the transaction ends. */
export const lockUserOfIdentity = (tx: Db, issuer: string, subject: string) =>
  tx
    .selectFrom("identities")
    .innerJoin("users", "users.id", "identities.user_id")
    .select("users.id")
    .where("identities.issuer", "=", issuer)
    .where("identities.subject", "=", subject)
    .forUpdate()
    .executeTakeFirst();

/** The user with this e-mail, locked until the transaction ends. */
export const lockUserOfEmail = (tx: Db, email: string) =>
  tx
    .selectFrom("users")
    .select(["id", "email_verified", "password_hash"])
    .select((user) =>
      user
        .exists(user.selectFrom("identities").whereRef("user_id", "=", "users.id"))
        .as("has_identity"),
    )
    .where("email", "=", email)
    .forUpdate()
    .executeTakeFirst();

/**
 * Links the identity to the user. @returns false if the user has another identity of this issuer
 */
export async function insertIdentity(
  tx: Db,
  identity: Insertable<IdentityTables["identities"]>,
): Promise<boolean> {
  const made = await tx
    .insertInto("identities")
    .values(identity)
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .executeTakeFirst();
  return made !== undefined;
}

export const noteIdentityUse = (tx: Db, issuer: string, subject: string) =>
  tx
    .updateTable("identities")
    .set({ last_used_at: sql<Date>`now()` })
    .where("issuer", "=", issuer)
    .where("subject", "=", subject)
    .execute();

export const listIdentities = (db: Db, userId: UserId) =>
  db
    .selectFrom("identities")
    .select(["id", "issuer", "subject", "created_at", "last_used_at"])
    .where("user_id", "=", userId)
    .orderBy("id")
    .execute();

export const deleteIdentity = (db: Db, userId: UserId, id: string) =>
  db
    .deleteFrom("identities")
    .where("user_id", "=", userId)
    .where("id", "=", id)
    .returning("issuer")
    .executeTakeFirst();

export const setVerified = (tx: Db, id: UserId) =>
  tx.updateTable("users").set({ email_verified: true }).where("id", "=", id).execute();

export const setSystemRole = (tx: Db, id: UserId, role: GivenRole) =>
  tx
    .updateTable("users")
    .set({ role })
    .where("id", "=", id)
    // A mapping neither makes nor demotes owners.
    .where("role", "not in", ["owner", role])
    .execute();

/** Sets the tenant's own roles that the mapping mentions. Other roles of the user stay. */
export async function setOwnRoles(
  tx: Db,
  userId: UserId,
  { known, given }: { readonly known: readonly string[]; readonly given: readonly string[] },
): Promise<void> {
  if (known.length === 0) return;
  await tx
    .deleteFrom("user_roles")
    .where("user_id", "=", userId)
    .where("role_id", "in", [...known])
    .execute();
  if (given.length === 0) return;
  await tx
    .insertInto("user_roles")
    .columns(["user_id", "role_id"])
    // Skip roles that have been deleted since they were mapped.
    .expression((eb) =>
      eb
        .selectFrom("roles")
        .select([sql<UserId>`${userId}::uuid`.as("user_id"), "id"])
        .where("id", "in", [...given]),
    )
    .execute();
}
