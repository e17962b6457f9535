import { type ColumnType, given, type Kysely, type Params, sql, statement } from "insulae";

export interface InvoiceTables {
  invoices: {
    id: ColumnType<string, never, never>;
    number: string;
    customer: string;
    total: string;
    paid_at: Date | null;
    created_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<InvoiceTables>;

const columns = [
  "id",
  "number",
  "customer",
  sql<string>`total::text`.as("total"),
  "paid_at",
  "created_at",
] as const;

export const listInvoices = statement((db: Db, p: Params<{ limit: number; after?: string }>) => {
  const page = db.selectFrom("invoices").select(columns).orderBy("id", "desc").limit(p.limit);
  return given(p.after) ? page.where("id", "<", p.after) : page;
});

export const createInvoice = statement(
  (db: Db, p: Params<{ number: string; customer: string; total: string }>) =>
    db.insertInto("invoices").values(p).returning(columns),
);

export const payInvoice = statement((db: Db, p: Params<{ id: string }>) =>
  db
    .updateTable("invoices")
    .set({ paid_at: sql<Date>`coalesce(paid_at, now())` })
    .where("id", "=", p.id)
    .returning(columns),
);

export const sumUnpaid = statement((db: Db) =>
  db
    .selectFrom("invoices")
    .select(sql<string>`coalesce(sum(total), 0)::numeric(14, 2)::text`.as("unpaid"))
    .where("paid_at", "is", null),
);
