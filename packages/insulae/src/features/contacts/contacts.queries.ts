import { type ColumnType, type Insertable, type Kysely, sql, type Updateable } from "kysely";
import type { CutPage } from "../../kernel/data/json-page.ts";
import {
  isSearched,
  type SearchSource,
  searched,
  searching,
  similarRows,
  soughtText,
} from "../../kernel/data/search.ts";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";

export interface ContactTables {
  contacts: {
    id: ColumnType<string, never, never>;
    name: string;
    email: string | null;
    phone: string | null;
    company: string | null;
    address: string | null;
    age: number | null;
    gender: string | null;
    notes: string | null;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<ContactTables>;

const columns = [
  "id",
  "name",
  "email",
  "phone",
  "company",
  "address",
  "age",
  "gender",
  "notes",
  "created_at",
  "updated_at",
] as const;

interface Search {
  search?: string | undefined;
}

const matching = (db: Db, { search }: Params<Search>) => {
  const contacts = db.selectFrom(searched("contacts", search));
  return given(search) ? contacts.where(isSearched(search)) : contacts;
};

const newestContacts = statement(
  (db: Db, p: Params<Search & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

const contactsByName = statement(
  (
    db: Db,
    p: Params<Search & { limit: number; name?: string | undefined; id?: string | undefined }>,
  ) => {
    const name = sql`app.sort_key(name)`;
    const page = matching(db, p).select(columns).orderBy(name).orderBy("id").limit(p.limit);
    if (!given(p.name)) return page;
    return page.where(sql<boolean>`(${name}, id) > (app.sort_key(${p.name}), ${p.id}::uuid)`);
  },
);

const countContacts = statement((db: Db, p: Params<Search>) =>
  matching(db, p).select(sql<number>`count(*)::integer`.as("total")),
);

const filterOf = ({ q }: { q?: string }) => ({
  search: soughtText(q),
});

export function listContacts(
  db: Db,
  wanted: { q?: string; sort?: "newest" | "name"; total?: boolean },
  { limit, after, cursor }: Page,
) {
  const { search } = filterOf(wanted);
  const [first, second] = after;
  const items = (db: Db) =>
    wanted.sort === "name"
      ? contactsByName.page(
          db,
          { search, name: first, id: second },
          { limit, cursor, key: (contact) => [contact.name, contact.id] },
        )
      : newestContacts.page(
          db,
          { search, after: first },
          { limit, cursor, key: (contact) => [contact.id] },
        );
  return searching(db, { text: wanted.q }, (from) =>
    wanted.total ? withTotal(items(from), countContacts.first(from, { search })) : items(from),
  );
}

/** Contacts older than `after`, newest first. */
export const nextContacts = (
  db: Db,
  wanted: { q?: string },
  page: { after: string | undefined; limit: number },
): Promise<CutPage> =>
  searching(db, { text: wanted.q }, (from) =>
    newestContacts.part(from, { ...filterOf(wanted), ...page }),
  );

export const createContact = statement((db: Db, p: Params<Insertable<ContactTables["contacts"]>>) =>
  db.insertInto("contacts").values(onlyGiven(p)).returning(columns),
);

export const findContact = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("contacts").select(columns).where("id", "=", p.id),
);

type Changes = Updateable<ContactTables["contacts"]> & { id: string };

export const updateContact = statement((db: Db, { id, ...changes }: Params<Changes>) =>
  db.updateTable("contacts").set(onlyGiven(changes)).where("id", "=", id).returning(columns),
);

export const deleteContact = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("contacts").where("id", "=", p.id).returning("id"),
);

const insertingContacts = (db: Db, { rows }: Params<{ rows: string }>) =>
  db
    .insertInto("contacts")
    .columns(["name", "email", "phone", "company", "address", "age", "gender", "notes"])
    .expression(
      sql`select * from jsonb_to_recordset(${rows}::jsonb)
        as row (name text, email text, phone text, company text, address text, age smallint,
          gender text, notes text)`,
    );

/** @param rows a JSON array; missing columns become null */
export const insertContacts = statement(insertingContacts);

/** The same, returning the new rows. */
export const createContacts = statement((db: Db, p: Params<{ rows: string }>) =>
  insertingContacts(db, p).returning(columns),
);

export const contactSearch = {
  type: "contacts",
  permission: "contacts:read",
  find: similarRows("contacts", sql`name`, sql`email`),
} as const satisfies SearchSource;
