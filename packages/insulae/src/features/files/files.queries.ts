/**
 * File rows count towards the quota `storage_bytes` (`app.counts_towards`) from the reservation
 * until the bytes are deleted. Every statement that changes the sum locks the tenant's counter, so
 * concurrent uploads can't exceed the quota.
 */
import { type ColumnType, type ExpressionBuilder, type Generated, type Kysely, sql } from "kysely";
import { containingAny } from "../../kernel/data/like.ts";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";

export interface FileTables {
  files: {
    id: Generated<string>;
    user_id: string | null;
    file_key: ColumnType<string, never, never>;
    file_name: string;
    mime_type: string;
    file_size: number;
    sha256: ColumnType<string | null, undefined, string | null>;
    metadata: ColumnType<Record<string, string>, string, string>;
    status: Generated<FileStatus>;
    expires_at: Date | null;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
}

export type FileStatus = "pending" | "ready" | "deleted";

type Db = Kysely<FileTables>;

const columns = [
  "id",
  "user_id",
  "file_key",
  "file_name",
  "mime_type",
  "file_size",
  "sha256",
  "metadata",
  // Queries never return deleted files.
  sql<"pending" | "ready">`status`.as("status"),
  "created_at",
  "updated_at",
] as const;

export interface NewFile {
  readonly userId: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly metadata: object;
  /** How long the upload may take. */
  readonly seconds: number;
}

/** Inserts a pending file and reserves its quota. @throws quotaExceeded, by the table's trigger */
export async function reserveFile(db: Db, file: NewFile): Promise<string> {
  const { id } = await db
    .insertInto("files")
    .values({
      user_id: file.userId,
      file_name: file.name,
      mime_type: file.type,
      file_size: file.size,
      metadata: JSON.stringify(file.metadata),
      expires_at: sql<Date>`now() + make_interval(secs => ${file.seconds})`,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

interface Ending {
  readonly id: string;
  /** No bytes can arrive any more. Otherwise the row stays until the signed upload expires. */
  readonly over: boolean;
}

/**
 * Marks an uploaded file as ready and releases unused quota. Returns nothing if it has been settled
 * or given up meanwhile.
 */
export const settleFile = statement(
  (db: Db, p: Params<Ending & { size: number; sha256: string | null }>) =>
    db
      .updateTable("files")
      .set({
        status: "ready",
        file_size: p.size,
        sha256: p.sha256,
        expires_at: sql<Date | null>`case when ${p.over}::boolean then null else expires_at end`,
      })
      .where("id", "=", p.id)
      .where("status", "=", "pending")
      .returning(columns),
);

const isOver = (file: ExpressionBuilder<FileTables, "files">) =>
  file.or([file("expires_at", "is", null), file("expires_at", "<", sql<Date>`now()`)]);

/** Deletes the row of a deleted file that no upload can still reach, and releases its quota. */
export const dropFile = (db: Db, id: string) =>
  db
    .deleteFrom("files")
    .where("id", "=", id)
    .where("status", "=", "deleted")
    .where(isOver)
    .execute();

/**
 * Hides a file and leaves its bytes to be removed. @returns undefined if there is none in that
 * status
 */
export const markDeleted = (
  db: Db,
  { id, from, over }: Ending & { readonly from: Exclude<FileStatus, "deleted"> },
) =>
  db
    .updateTable("files")
    .set({ status: "deleted", ...(over && { expires_at: null }) })
    .where("id", "=", id)
    .where("status", "=", from)
    .returning("id")
    .executeTakeFirst();

const visible = (db: Db) => db.selectFrom("files").where("status", "<>", "deleted");

export const findFile = statement((db: Db, p: Params<{ id: string }>) =>
  visible(db).select(columns).where("id", "=", p.id),
);

export const changeFile = statement(
  (
    db: Db,
    p: Params<{ id: string; file_name?: string | undefined; metadata?: string | undefined }>,
  ) => {
    const { id, ...changes } = p;
    return db
      .updateTable("files")
      .set(onlyGiven(changes))
      .where("id", "=", id)
      .where("status", "<>", "deleted")
      .returning(columns);
  },
);

interface Filter {
  search?: readonly string[] | undefined;
  status: FileStatus;
}

const matching = (db: Db, { search, status }: Params<Filter>) => {
  const files = db.selectFrom("files").where("status", "=", status);
  return given(search) ? files.where(sql<boolean>`file_name ilike any(${search}::text[])`) : files;
};

const newestFiles = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

const countFiles = statement((db: Db, p: Params<Filter>) =>
  matching(db, p).select(sql<number>`count(*)::integer`.as("total")),
);

export function listFiles(
  db: Db,
  wanted: { q?: string; status?: "pending" | "ready"; total?: boolean },
  { limit, after, cursor }: Page,
) {
  const filter = {
    search: wanted.q === undefined ? undefined : containingAny(wanted.q),
    status: wanted.status ?? ("ready" as const),
  };
  const items = newestFiles.page(
    db,
    { ...filter, after: after[0] },
    { limit, cursor, key: (file) => [file.id] },
  );
  return wanted.total ? withTotal(items, countFiles.first(db, filter)) : items;
}

/** Files whose bytes have to be removed: deleted, or not uploaded in time. */
export const listRemains = statement((db: Db, p: Params<{ limit: number; id?: string }>) => {
  const remains = db
    .selectFrom("files")
    .select(["id", "status"])
    .where("status", "<>", "ready")
    .where(isOver)
    .limit(p.limit);
  return given(p.id) ? remains.where("id", "=", p.id) : remains;
});

/** Those of the ids that no file has. */
export async function unknownFiles(db: Db, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select wanted.id::text from unnest(${ids}::uuid[]) as wanted (id)
    where not exists (select from files where files.id = wanted.id)`.execute(db);
  return rows.map(({ id }) => id);
}
