/**
 * Search with an index, in the scope of a tenant: see `app.searchable` in the migration 0008_search.sql.
 * `contacts_search` has the rows of `contacts` in which the text is found that the transaction searches
 * for, and nothing where it searches for none.
 */
import { type Expression, type Kysely, type RawBuilder, sql } from "kysely";

/** What is searched for; `fuzzy`: also what is only similar. */
export interface Wanted {
  readonly text: string | undefined;
  readonly fuzzy?: boolean;
}

/**
 * Runs `find` in a transaction that searches for the text; without one, as it is.
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

/** The text of a search, if it is one: blanks alone are none, nor is what `app.search_text` drops. */
export const soughtText = (text: string | undefined): string | undefined =>
  text?.replace(/[\u00ad\u200b\u2060\ufeff]/g, "").trim() || undefined;

/**
 * Whether it has two letters or digits, or one of a script in which a character is a word or a syllable.
 * Other texts have nothing that an index could find: each row would be read, and compared.
 */
export const hasWords = (text: string): boolean =>
  (text.match(/[\p{L}\p{N}]/gu)?.length ?? 0) >= 2 ||
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}]/u.test(text.replace(/\P{L}/gu, ""));

/**
 * The condition of a statement that reads a `…_search` table and might have no other parameter: the table
 * itself finds the rows, and with a parameter the plan is made for each text.
 */
export const isSearched = (search: Expression<string>) => sql<boolean>`${search}::text is not null`;

/** The table to read from: with a search, only what is found. */
export const searched = <Table extends string>(table: Table, search: unknown): Table =>
  // It has the columns of the other.
  (search === undefined ? table : `${table}_search`) as Table;

/** Something that was found, in whatever table. */
export interface Found {
  readonly id: string;
  readonly title: string;
  readonly detail: string | null;
  /** 0 to 1; at least a half where the text itself is there. */
  readonly score: number;
}

/** One of the tables that a search of everything looks into. */
export interface SearchSource {
  readonly type: string;
  /** Whoever has it sees the rows. */
  readonly permission: string;
  /** The best, in a transaction that searches for the text. */
  readonly find: (
    db: Kysely<Record<never, never>>,
    wanted: { readonly text: string; readonly limit: number },
  ) => Promise<readonly Found[]>;
}

/** So many are looked at: who searches for `a` does not wait until all of it is ranked. */
export const mostRanked = 2_000;

/**
 * Rows by how similar their texts are to the one that is searched for.
 *
 * @param title and `detail` are expressions over the table's columns.
 */
export const similarRows =
  (table: string, title: RawBuilder<string>, detail: RawBuilder<string | null>) =>
  async (
    db: Kysely<Record<never, never>>,
    { text, limit }: { readonly text: string; readonly limit: number },
  ): Promise<readonly Found[]> => {
    // How similar a long text is takes long to say; what matters stands first.
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
