import {
  type ColumnType,
  type Expression,
  type Generated,
  type Insertable,
  type Kysely,
  sql,
} from "kysely";
import type { CutPage } from "../../kernel/data/json-page.ts";
import {
  isSearched,
  type SearchSource,
  searched,
  searching,
  similarRows,
  soughtText,
} from "../../kernel/data/search.ts";
import {
  given,
  type ListPage,
  onlyGiven,
  type Params,
  statement,
} from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";
import type { UserStanding } from "../../kernel/identity/authority.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { Json } from "../../kernel/lib/json.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";

export interface UserTables {
  users: {
    id: ColumnType<UserId, never, never>;
    email: string;
    username: string | null;
    password_hash: string | null;
    /**
     * Write-only: set together with a rehash of the same password, for the trigger; never stored.
     */
    renewed_hash: ColumnType<never, never, string>;
    account_id: AccountId | null;
    first_name: Generated<string>;
    last_name: Generated<string>;
    role: Generated<string>;
    is_active: Generated<boolean>;
    email_verified: Generated<boolean>;
    /** Updating it ends all sessions of the user. */
    sessions_valid_from: ColumnType<Date, never, Date>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<UserTables>;

/** The columns that API responses may contain: neither the password hash nor the account. */
const columns = [
  "id",
  "email",
  "username",
  "first_name",
  "last_name",
  "role",
  "is_active",
  "email_verified",
  "created_at",
  "updated_at",
] as const;

interface Filter {
  search?: string | undefined;
  email?: string | undefined;
  role?: string | undefined;
  active?: boolean | undefined;
}

const matching = (db: Db, { search, email, role, active }: Params<Filter>) => {
  let users = db.selectFrom(searched("users", search));
  if (given(email)) users = users.where("email", "=", email);
  if (given(role)) users = users.where("role", "=", role);
  if (given(active)) users = users.where("is_active", "=", active);
  return given(search) ? users.where(isSearched(search)) : users;
};

const newestUsers = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", asIdParameter(p.after)) : page;
  },
);

const countUsers = statement((db: Db, p: Params<Filter>) =>
  matching(db, p).select((user) => user.fn.countAll<number>().as("total")),
);

interface WantedUsers {
  q?: string;
  email?: string;
  role?: string;
  is_active?: boolean;
}

const filterOf = (wanted: WantedUsers) => ({
  search: soughtText(wanted.q),
  // Text that is not an e-mail address matches nobody.
  email: wanted.email === undefined ? undefined : (findCanonicalEmail(wanted.email) ?? ""),
  role: wanted.role,
  active: wanted.is_active,
});

type UserRow = Awaited<ReturnType<typeof newestUsers.all>>[number];

// The return type is explicit because the inferred one is unreadable in the package's .d.ts files.
export function listUsers(
  db: Db,
  wanted: WantedUsers & { total?: boolean },
  { limit, after, cursor }: Page,
): Promise<Json<ListPage<UserRow>>> {
  const filter = filterOf(wanted);
  return searching(db, { text: wanted.q }, (from) => {
    const items = newestUsers.page(
      from,
      { ...filter, limit, after: after[0] },
      { limit, cursor, key: (user) => [user.id] },
    );
    return wanted.total ? withTotal(items, countUsers.first(from, filter)) : items;
  });
}

const newestPeople = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p)
      .select(["id", "email", "first_name", "last_name", "role", "is_active"])
      .orderBy("id", "desc")
      .limit(p.limit);
    return given(p.after) ? page.where("id", "<", asIdParameter(p.after)) : page;
  },
);

/** The users of a tenant as a platform administrator sees them: who to impersonate, and no more. */
export const listPeople = (
  db: Db,
  wanted: Pick<WantedUsers, "q" | "is_active">,
  { limit, after, cursor }: Page,
): Promise<Json<ListPage<Awaited<ReturnType<typeof newestPeople.all>>[number]>>> =>
  searching(db, { text: wanted.q }, (from) =>
    newestPeople.page(
      from,
      { ...filterOf(wanted), limit, after: after[0] },
      { limit, cursor, key: ({ id }) => [id] },
    ),
  );

/** Of those ids that are users. */
export const findNames = (db: Db, ids: readonly UserId[]) =>
  db
    .selectFrom("users")
    .select(["id", "first_name", "last_name", "email"])
    .where(sql<boolean>`id = any(${ids}::uuid[])`)
    .execute();

const newestEntries = 100;

/**
 * Of those ids that are users: which account each is linked to, and when they last did something that the
 * audit log has, a sign-in for example. Of each, only the newest entries are looked at.
 */
export async function findSignInTraces(
  db: Db,
  ids: readonly string[],
): Promise<readonly { id: UserId; accountId: AccountId | null; at: Date | null }[]> {
  const { rows } = await sql<{ id: UserId; accountId: AccountId | null; at: Date | null }>`
    select id, account_id as "accountId", (
      select max(at)
      from (
        select at, outcome, actor_kind, impersonator
        from audit_log
        where actor_id = users.id::text
        order by seq desc
        limit ${newestEntries}
      ) as newest
      where outcome = 'succeeded' and actor_kind = 'user' and impersonator is null
    ) as at
    from users
    where id = any(${ids}::uuid[])
    order by id desc`.execute(db);
  return rows;
}

/** Users older than `after`, newest first. */
export const nextUsers = (
  db: Db,
  wanted: WantedUsers,
  page: { after: string | undefined; limit: number },
): Promise<CutPage> =>
  searching(db, { text: wanted.q }, (from) =>
    newestUsers.part(from, { ...filterOf(wanted), ...page }),
  );

/** Brands a client's UUID as a user id; the query finds out whether it is one. */
export const asId = (id: string) => id as UserId;
const asIdParameter = (id: Expression<string>) => id as Expression<UserId>; // as above

export const findUser = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("users").select(columns).where("id", "=", asIdParameter(p.id)),
);

export type UserValues = Insertable<UserTables["users"]>;

export type UserView = NonNullable<Awaited<ReturnType<typeof findUser.first>>>;

export const createUser = statement((db: Db, p: Params<UserValues>) =>
  db.insertInto("users").values(onlyGiven(p)).returning(columns),
);

/** Reasons why a user can't be created: e-mail or username taken, or `limit` users reached. */
export async function findHindrances(
  db: Db,
  p: { readonly email: string; readonly username: string | null; readonly limit: number },
) {
  const users = db.selectFrom("users").select(sql.lit(1).as("one"));
  return db
    .selectNoFrom((eb) => [
      eb.exists(users.where("email", "=", p.email)).as("email"),
      eb.exists(users.where("username", "=", p.username ?? "")).as("username"),
      eb.exists(users.offset(Math.max(0, p.limit - 1)).limit(1)).as("full"),
    ])
    .executeTakeFirstOrThrow();
}

/** The account's user in this tenant. */
export const findUserOfAccount = (db: Db, accountId: AccountId) =>
  db
    .selectFrom("users")
    .select(["id", "role", "is_active"])
    .where("account_id", "=", accountId)
    .executeTakeFirst();

type Changes = Partial<UserValues> & { id: UserId };

export const updateUser = statement((db: Db, { id, ...changes }: Params<Changes>) =>
  db.updateTable("users").set(onlyGiven(changes)).where("id", "=", id).returning(columns),
);

export const deleteUser = statement((db: Db, p: Params<{ id: UserId }>) =>
  db.deleteFrom("users").where("id", "=", p.id),
);

/** The permissions that the user's own roles add. The tables belong to the feature `roles`. */
const addedPermissions = sql<string[]>`array(
  select distinct unnest(roles.permissions)
  from user_roles
  join roles on roles.tenant_id = user_roles.tenant_id and roles.id = user_roles.role_id
  where user_roles.user_id = users.id
)`.as("added");

/**
 * The user's API keys, as far as authorisation needs them. The table belongs to the feature
 * `api-keys`.
 */
const apiKeys = sql<
  { id: string; hash: string; scopes: string[]; expires_at: number | null }[]
>`coalesce(
  (
    select json_agg(json_build_object(
      'id', id,
      'hash', encode(secret_hash, 'hex'),
      'scopes', scopes,
      'expires_at', extract(epoch from expires_at) * 1000
    ))
    from api_keys
    where user_id = users.id and (expires_at is null or expires_at > now())
  ),
  '[]'
)`.as("api_keys");

/** The user's row and those of all active owners, locked in an order that can't deadlock. */
export const lockUserAndOwners = (db: Db, id: UserId) =>
  db
    .selectFrom("users")
    .select(["id", "account_id", "email", "role", "is_active", addedPermissions])
    .where((user) =>
      user.or([
        user("id", "=", id),
        user.and([user("role", "=", "owner"), user("is_active", "=", true)]),
      ]),
    )
    .orderBy("id")
    .forUpdate()
    .execute();

/** The part of an active user that authorisation reads on each request. */
export const findStanding = async (db: Db, id: UserId): Promise<UserStanding | undefined> => {
  const user = await db
    .selectFrom("users")
    .select(["email", "role", "account_id", "sessions_valid_from", addedPermissions, apiKeys])
    .where("id", "=", id)
    .where("is_active", "=", true)
    .executeTakeFirst();
  if (!user) return undefined;
  const { email, role, added, account_id: accountId, sessions_valid_from } = user;
  return {
    email,
    role,
    added,
    accountId,
    sessionsValidFrom: sessions_valid_from,
    apiKeys: user.api_keys.map(({ id, hash, scopes, expires_at }) => ({
      id,
      secretHash: Buffer.from(hash, "hex"),
      scopes,
      expiresAt: expires_at ?? Number.POSITIVE_INFINITY,
    })),
  };
};

/** The columns that a log-in checks. */
export const findCredentials = (db: Db, by: "email" | "username", value: string) =>
  db
    .selectFrom("users")
    .select([...columns, "password_hash", "account_id", "sessions_valid_from"])
    .where(by, "=", value)
    .executeTakeFirst();

export const endUserSessions = (db: Db, id: UserId) =>
  db
    .updateTable("users")
    .set({ sessions_valid_from: sql<Date>`clock_timestamp()` })
    .where("id", "=", id)
    .execute();

/** The columns that a sign-in without a password needs. */
export const findSignInUser = (db: Db, id: UserId) =>
  db
    .selectFrom("users")
    .select([...columns, "account_id", "sessions_valid_from"])
    .where("id", "=", id)
    .executeTakeFirst();

/** The user's own password hash. */
export const findSecret = (db: Db, id: UserId) =>
  db.selectFrom("users").select(["email", "password_hash"]).where("id", "=", id).executeTakeFirst();

export const isUsernameTaken = async (db: Db, username: string): Promise<boolean> =>
  (await db
    .selectFrom("users")
    .select("id")
    .where("username", "=", username)
    .executeTakeFirst()) !== undefined;

/**
 * Creates a user unless the e-mail is taken.
 *
 * If it is taken, the existing row is locked but not changed. That writes one WAL record, as an
 * insert does, so timing does not reveal which of the two happened.
 *
 * @returns whether the user was created
 */
export async function createUserUnlessTaken(db: Db, values: UserValues): Promise<boolean> {
  const made = await db
    .insertInto("users")
    .values(values)
    .onConflict((conflict) =>
      conflict
        .constraint("users_email_key")
        .doUpdateSet((eb) => ({ email: eb.ref("excluded.email") }))
        .where(sql<boolean>`false`),
    )
    .returning("id")
    .executeTakeFirst();
  return made !== undefined;
}

export const userSearch = {
  type: "users",
  permission: "users:read",
  find: similarRows(
    "users",
    sql`coalesce(nullif(trim(first_name || ' ' || last_name), ''), email)`,
    sql`email`,
  ),
} as const satisfies SearchSource;
