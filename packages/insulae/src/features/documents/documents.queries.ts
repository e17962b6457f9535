import {
  type ColumnType,
  type Generated,
  type Insertable,
  type Kysely,
  sql,
  type Updateable,
} from "kysely";
import { containingAny } from "../../kernel/data/like.ts";
import { type Found, mostRanked, type SearchSource } from "../../kernel/data/search.ts";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";

export interface DocumentTables {
  documents: {
    id: ColumnType<string, never, never>;
    title: string;
    content: Generated<string>;
    created_by: ColumnType<string | null, string | null, never>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<DocumentTables>;

const headColumns = ["id", "title", "created_by", "created_at", "updated_at"] as const;
const columns = [...headColumns, "content"] as const;

interface Filter {
  search?: readonly string[] | undefined;
  createdBy?: string | undefined;
}

const matching = (db: Db, { search, createdBy }: Params<Filter>) => {
  let documents = db.selectFrom("documents");
  if (given(createdBy)) documents = documents.where("created_by", "=", createdBy);
  if (!given(search)) return documents;
  return documents.where(
    sql<boolean>`(title ilike any(${search}::text[]) or content ilike any(${search}::text[]))`,
  );
};

const newestDocuments = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(headColumns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

const countDocuments = statement((db: Db, p: Params<Filter>) =>
  matching(db, p).select(sql<number>`count(*)::integer`.as("total")),
);

/** Documents with content that are older than `after`, newest first. */
export const wholeDocuments = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

export const filterOf = (wanted: { q?: string; created_by?: string }) => ({
  search: wanted.q === undefined ? undefined : containingAny(wanted.q),
  createdBy: wanted.created_by,
});

export function listDocuments(
  db: Db,
  wanted: { q?: string; created_by?: string; total?: boolean },
  { limit, after, cursor }: Page,
) {
  const filter = filterOf(wanted);
  const items = newestDocuments.page(
    db,
    { ...filter, after: after[0] },
    { limit, cursor, key: (document) => [document.id] },
  );
  return wanted.total ? withTotal(items, countDocuments.first(db, filter)) : items;
}

export const createDocument = statement(
  (db: Db, p: Params<Insertable<DocumentTables["documents"]>>) =>
    db.insertInto("documents").values(onlyGiven(p)).returning(columns),
);

export const findDocument = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("documents").select(columns).where("id", "=", p.id),
);

type Changes = Updateable<DocumentTables["documents"]> & { id: string };

export const updateDocument = statement((db: Db, { id, ...changes }: Params<Changes>) =>
  db.updateTable("documents").set(onlyGiven(changes)).where("id", "=", id).returning(columns),
);

export const deleteDocument = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("documents").where("id", "=", p.id).returning("id"),
);

export const documentSearch = {
  type: "documents",
  permission: "documents:read",
  async find(db, { text, limit }) {
    // `ts_headline` runs only for the rows of this page, on a prefix of very long documents.
    const { rows } = await sql<Found>`
      select id, title, score, ts_headline(
        'simple', left(content, 50000), app.search_query(),
        'StartSel="", StopSel="", MinWords=10, MaxWords=30'
      ) as detail
      from (
        select id, title, content, (
          0.5 + greatest(
            ts_rank(search, app.search_query(), 32),
            app.word_similarity(app.search_text(${text}), app.search_text(title))
          ) / 2
        )::float8 as score
        from (select * from documents_search limit ${mostRanked}) as found
        order by score desc, id desc
        limit ${limit}
      ) as best
      order by score desc, id desc`.execute(db);
    return rows;
  },
} as const satisfies SearchSource;
