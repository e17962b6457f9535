/**
 * Exports lists as CSV or JSON lines: all rows that match the filters, newest first. Rows are
 * fetched in parts by key, the next part once the client has read the last. No connection is held
 * in between, so the client may be slow. Rows added meanwhile are not included, rows deleted
 * meanwhile may be, and each row is as it was when its part was read.
 *
 * @example
 * r.get(
 *   "/contacts/export",
 *   { …, query: exportQuery({ q: searchText }), response: exported, atATime: "exports" },
 *   ({ db, query, header }) =>
 *     exportList({ name: "contacts", format: query.format, header }, {
 *       row: Contact,
 *       next: (page) => newestContacts.part(db, { ...filterOf(query), ...page }),
 *     }),
 * );
 */
import { type TObject, type TProperties, Type } from "typebox";
import type { CutPage } from "../../data/json-page.ts";
import { mediaText } from "../../feature/fields.ts";
import { csvText } from "../../lib/csv.ts";
import { respellerOf } from "../../lib/times.ts";

const formats = {
  csv: { type: "text/csv; charset=utf-8", suffix: "csv" },
  jsonl: { type: "application/x-ndjson", suffix: "jsonl" },
} as const;

type ExportFormat = keyof typeof formats;

/** The query of an export: `format`, and the list's filters. */
export function exportQuery<Filters extends TProperties = Record<never, never>>(filters?: Filters) {
  return Type.Object({
    format: Type.Optional(
      Type.Union([Type.Literal("csv"), Type.Literal("jsonl")], {
        default: "csv",
        description: "CSV with a line of names, or one JSON object a line.",
      }),
    ),
    // without filters, `Filters` is the empty record
    ...(filters as Filters),
  });
}

/** The response schema of an export. */
export const exported = Type.Union([
  mediaText("text/csv", { description: "A file with one row a line." }),
  mediaText("application/x-ndjson"),
]);

export interface ExportedList {
  /** The schema of a row; its members are the CSV's columns. */
  readonly row: TObject;
  /** The rows after the one with the id `after`, from a statement's `part`; each has an `id`. */
  readonly next: (page: { after: string | undefined; limit: number }) => Promise<CutPage>;
}

const rowsAtOnce = 500;

interface ExportFile {
  /** The file's name, without extension. */
  readonly name: string;
  readonly format: ExportFormat | undefined;
  readonly header: (name: string, value: string) => void;
}

type Row = Readonly<Record<string, unknown>> & { readonly id: string };

export function exportList(
  { name, format = "csv", header }: ExportFile,
  list: ExportedList,
): AsyncGenerator<string> {
  const { type, suffix } = formats[format];
  header("content-type", type);
  header("content-disposition", `attachment; filename="${name}.${suffix}"`);
  return format === "csv" ? csvLines(list) : jsonLines(list);
}

async function* csvLines(list: ExportedList): AsyncGenerator<string> {
  const columns = Object.keys(list.row.properties);
  let before = csvText([columns]);
  for await (const rows of pages(list)) {
    yield before + csvText(rows.map((row) => columns.map((column) => row[column])));
    before = "";
  }
  if (before) yield before;
}

async function* jsonLines(list: ExportedList): AsyncGenerator<string> {
  for await (const rows of pages(list)) {
    yield rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  }
}

async function* pages({ row, next }: ExportedList): AsyncGenerator<Row[]> {
  const respell = respellerOf(row);
  for (let after: string | undefined; ; ) {
    const { items, last } = await next({ after, limit: rowsAtOnce });
    const found = JSON.parse(`[${items}]`) as Row[]; // the statement's rows
    const rows = found.map((each) => respell(each) as Row);
    if (rows.length > 0) yield rows;
    if (last === undefined) return;
    after = rows.at(-1)?.id;
  }
}
