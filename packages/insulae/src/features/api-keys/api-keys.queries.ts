import { type ColumnType, type Insertable, type Kysely, sql } from "kysely";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import type { Page } from "../../kernel/feature/page.ts";
import type { UserId } from "../../kernel/lib/ids.ts";

export interface ApiKeyTables {
  api_keys: {
    id: ColumnType<string, never, never>;
    user_id: UserId;
    name: string;
    scopes: string[];
    secret_hash: Buffer;
    expires_at: Date | null;
    last_used_at: ColumnType<Date | null, never, Date>;
    created_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<ApiKeyTables>;

/** All columns except the hash of the secret. */
const columns = [
  "id",
  "user_id",
  "name",
  "scopes",
  "expires_at",
  "last_used_at",
  "created_at",
] as const;

export type ApiKeyRow = NonNullable<Awaited<ReturnType<typeof createApiKey.first>>>;

const newestApiKeys = statement(
  (db: Db, p: Params<{ limit: number; after?: string | undefined }>) => {
    const page = db.selectFrom("api_keys").select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

/** One page, newest first, and whether another follows. */
export async function listApiKeys(db: Db, { limit, after }: Page) {
  const found = await newestApiKeys.all(db, { limit: limit + 1, after: after[0] });
  return { rows: found.slice(0, limit), more: found.length > limit };
}

export const countApiKeysOf = statement((db: Db, p: Params<{ userId: UserId }>) =>
  db
    .selectFrom("api_keys")
    .select((key) => key.fn.countAll<string>().as("total"))
    .where("user_id", "=", p.userId),
);

export const createApiKey = statement((db: Db, p: Params<Insertable<ApiKeyTables["api_keys"]>>) =>
  db.insertInto("api_keys").values(onlyGiven(p)).returning(columns),
);

export const deleteApiKey = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("api_keys").where("id", "=", p.id).returning(["id", "name", "user_id"]),
);

/** Records when keys were last used. Never replaces a later time written by another node. */
export async function noteUse(db: Db, usedAt: ReadonlyMap<string, Date>): Promise<void> {
  const times = [...usedAt.values()].map((time) => time.toISOString());
  await sql`
    update api_keys
    set last_used_at = greatest(last_used_at, used.at)
    from unnest(${[...usedAt.keys()]}::uuid[], ${times}::timestamptz[]) as used (id, at)
    where api_keys.id = used.id
  `.execute(db);
}
