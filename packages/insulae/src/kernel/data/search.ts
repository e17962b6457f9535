/**
 * Indexed search in a tenant's scope: see `app.searchable` in the migration 0008_search.sql.
 * `contacts_search` contains the rows of `contacts` that match the transaction's search text;
 * without one it is empty.
 */
import { type Expression, type Kysely, type RawBuilder, sql } from "kysely";

/** The search text; `fuzzy`: include similar texts. */
export interface Wanted {
  readonly text: string | undefined;
  readonly fuzzy?: boolean;
}

/**
 * Runs `find` in a transaction with the search text set; without a text, directly.
 *
 * @example
 * await searching(db, { text: query.q }, (tx) => tx.selectFrom("contacts_search")…)
 */
export function searching<Tables, Result>(
  db: Kysely<Tables>,
  { text, fuzzy = false }: Wanted,
  find: (db: Kysely<Tables>) => Promise<Result>,
): Promise<Result> {
  const sought = soughtText(text);
  if (sought === undefined) return find(db);
  return db
    .transaction()
    .setAccessMode("read only")
    .execute(async (tx) => {
      await sql`select app.search_for(${sought}, ${fuzzy})`.execute(tx);
      return find(tx);
    });
}

/** The search text; undefined if only blanks, or characters that `app.search_text` drops. */
export const soughtText = (text: string | undefined): string | undefined =>
  text?.replace(/[\u00ad\u200b\u2060\ufeff]/g, "").trim() || undefined;

/**
 * Whether the text has two letters or digits, or one character of a script in which a character is
 * a word or syllable. For other texts the index is useless: every row would be compared.
 */
export const hasWords = (text: string): boolean =>
  (text.match(/[\p{L}\p{N}]/gu)?.length ?? 0) >= 2 ||
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}]/u.test(text.replace(/\P{L}/gu, ""));

/**
 * A condition for statements on a `…_search` table without other parameters: with a parameter, the
 * plan is made for each text.
 */
export const isSearched = (search: Expression<string>) => sql<boolean>`${search}::text is not null`;

/** The table to read from: with a search, only its matches. */
export const searched = <Table extends string>(table: Table, search: unknown): Table =>
  // it has the same columns
  (search === undefined ? table : `${table}_search`) as Table;

/** A match, in any table. */
export interface Found {
  readonly id: string;
  readonly title: string;
  readonly detail: string | null;
  /** From 0 to 1; at least 0.5 for an exact substring. */
  readonly score: number;
}

/** A table included in the global search. */
export interface SearchSource {
  readonly type: string;
  /** Required to see its rows. */
  readonly permission: string;
  /** The best matches; called in a transaction with the search text set. */
  readonly find: (
    db: Kysely<Record<never, never>>,
    wanted: { readonly text: string; readonly limit: number },
  ) => Promise<readonly Found[]>;
}

/** The maximum of rows ranked, so that a search for `a` need not rank everything. */
export const mostRanked = 2_000;

/**
 * Rows ranked by their similarity to the search text.
 *
 * @param title an expression over the table's columns, like `detail`
 */
export const similarRows =
  (table: string, title: RawBuilder<string>, detail: RawBuilder<string | null>) =>
  async (
    db: Kysely<Record<never, never>>,
    { text, limit }: { readonly text: string; readonly limit: number },
  ): Promise<readonly Found[]> => {
    // Comparing long texts is slow; what matters comes first.
    const { rows } = await sql<Found>`
      select id, ${title} as title, ${detail} as detail, (
        case when search like app.search_pattern() then 0.5 else 0 end
          + app.word_similarity(app.search_text(${text}), left(search, 300)) / 2
      )::float8 as score
      from (select * from ${sql.table(`${table}_search`)} limit ${mostRanked}) as found
      order by score desc, id desc
      limit ${limit}`.execute(db);
    return rows;
  };
