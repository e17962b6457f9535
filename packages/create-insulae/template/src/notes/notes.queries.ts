/**
 * All SQL about notes. No statement names the tenant: each reads and writes only its own tenant's
 * rows.
 */
import {
  type ColumnType,
  type Generated,
  given,
  type Kysely,
  onlyGiven,
  type Params,
  sql,
  statement,
} from "insulae";

export interface NoteTables {
  notes: {
    id: ColumnType<string, never, never>;
    title: string;
    text: Generated<string>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
  comments: {
    id: ColumnType<string, never, never>;
    note_id: string;
    text: string;
    created_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<NoteTables>;

const columns = ["id", "title", "text", "created_at", "updated_at"] as const;
const commentColumns = ["id", "text", "created_at"] as const;

/** Newest first. */
export const listNotes = statement((db: Db, p: Params<{ limit: number; after?: string }>) => {
  const page = db.selectFrom("notes").select(columns).orderBy("id", "desc").limit(p.limit);
  return given(p.after) ? page.where("id", "<", p.after) : page;
});

export const createNote = statement((db: Db, p: Params<{ title: string; text?: string }>) =>
  db.insertInto("notes").values(onlyGiven(p)).returning(columns),
);

export const createComment = statement((db: Db, p: Params<{ note_id: string; text: string }>) =>
  db.insertInto("comments").values(p).returning(commentColumns),
);

/** The latest hundred, newest first. */
const newestComments = sql<{ id: string; text: string; created_at: string }[]>`(
  select coalesce(json_agg(comment), '[]')
  from (
    select id, text, created_at
    from comments
    where note_id = notes.id
    order by id desc
    limit 100
  ) as comment
)`.as("comments");

export const findNote = statement((db: Db, p: Params<{ id: string }>) =>
  db
    .selectFrom("notes")
    .select([...columns, newestComments])
    .where("id", "=", p.id),
);
