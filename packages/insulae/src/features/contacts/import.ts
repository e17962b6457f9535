/**
 * Imports contacts from CSV. Rows are read and checked as the file arrives. The transaction begins
 * only once the whole file is valid, so that a slow client holds no connection and an invalid file
 * changes nothing. Checked rows wait as JSON in buffers outside the heap, about as large as the
 * file; a process reads only a few files at a time. The import inserts them batch by batch.
 */
import { type Static, Type } from "typebox";
import type { Audit } from "../../kernel/audit/audit.ts";
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import type { Events } from "../../kernel/feature/events.ts";
import { csvRecords, malformedCsv } from "../../kernel/lib/csv.ts";
import { AppError, defineError } from "../../kernel/lib/errors.ts";
import type { Validator } from "../../kernel/validation/validation.ts";
import { type ContactTables, createContacts, insertContacts } from "./contacts.queries.ts";

export const importRefused = defineError(
  "import_refused",
  422,
  "Some rows are invalid, so nothing was imported. Correct the rows in errors and send the file again.",
);

export const maxImportBytes = 10_485_760;
const maxRows = 100_000;
const rowsAtOnce = 500;
/** Maximum size of a batch in characters of JSON; the last row may exceed it. */
const batchLength = 262_144;
/** At most this many problems are listed; all are counted. */
const maxNamed = 1_000;

const columns = ["name", "email", "phone", "company", "address", "age", "gender", "notes"] as const;
/** Columns that an export contains and clients can't set. */
const ignored = ["id", "created_at", "updated_at"];

const Refused = Type.Object({
  line: Type.Integer({ description: "The line on which the row begins; the header is line 1." }),
  field: Type.Union([Type.String(), Type.Null()]),
  reason: Type.String(),
});

export const ImportReport = Type.Object(
  {
    rows: Type.Integer({ description: "The number of rows, without the header." }),
    imported: Type.Integer(),
    refused_rows: Type.Integer(),
    refused: Type.Array(Refused, { description: `The problems; at most ${maxNamed} are listed.` }),
  },
  { $id: "ImportReport" },
);

export interface ImportOptions {
  readonly db: TenantDatabase<ContactTables>;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Validates a new contact. */
  readonly check: Validator;
  /** Only report what would happen. */
  readonly dryRun: boolean;
  /** Import the valid rows even if others are invalid. */
  readonly partial: boolean;
  readonly audit: Audit;
  readonly events: Events<ContactTables>;
}

/** @throws malformedCsv, importRefused, bodyTooLarge */
export async function importContacts(options: ImportOptions): Promise<Static<typeof ImportReport>> {
  const { db, dryRun, partial, audit, events } = options;
  const { batches, ...report } = await readContacts(options);
  if (dryRun) {
    await audit({ action: "contacts.imported", detail: { imported: 0, dry_run: true } });
    return { ...report, imported: 0 };
  }
  if (report.refused_rows > 0 && !partial) throw importRefused({ members: report });
  const imported = report.rows - report.refused_rows;
  const isWanted = await events.isWanted("contact.created");
  await db.transaction().execute(async (tx) => {
    for (const rows of batches) {
      if (!isWanted) await insertContacts.all(tx, { rows: rows.toString() });
      else {
        const made = await createContacts.jsonList(tx, { rows: rows.toString() });
        await events.recordAll("contact.created", made, tx);
      }
    }
    await audit({ action: "contacts.imported", detail: { imported } }, tx);
  });
  return { ...report, imported };
}

async function readContacts({ bytes, check }: ImportOptions) {
  const report = { rows: 0, refused_rows: 0, refused: [] as Static<typeof Refused>[] };
  const batches: Buffer[] = [];
  let batch: string[] = [];
  let length = 0;
  let names: readonly string[] | undefined;
  const finish = () => {
    if (batch.length > 0) batches.push(Buffer.from(`[${batch.join()}]`));
    batch = [];
    length = 0;
  };

  for await (const { line, cells } of csvRecords(bytes)) {
    if (!names) {
      names = namesOf(cells);
      continue;
    }
    report.rows += 1;
    if (report.rows > maxRows)
      throw malformedCsv({ detail: `The file has more than ${maxRows} rows. Split it.` });
    const contact: Record<string, string | number> = {};
    for (const [at, name] of names.entries()) {
      const cell = cells[at];
      if (cell && !ignored.includes(name)) contact[name] = cellValue(name, cell);
    }
    const problems = problemsOf(contact, cells.length, names.length, check);
    if (problems.length === 0) {
      const row = JSON.stringify(contact);
      batch.push(row);
      length += row.length;
    } else report.refused_rows += 1;
    const room = maxNamed - report.refused.length;
    report.refused.push(...problems.slice(0, room).map((problem) => ({ line, ...problem })));
    if (batch.length === rowsAtOnce || length > batchLength) finish();
  }
  if (!names) throw malformedCsv({ detail: "The file is empty." });
  finish();
  return { ...report, batches };
}

/** Anything that is not a number stays text, which validation rejects. */
const cellValue = (name: string, cell: string): string | number =>
  name === "age" && /^(0|[1-9]\d{0,2})$/.test(cell) ? Number(cell) : cell;

function namesOf(cells: readonly string[]): string[] {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  const known: readonly string[] = [...columns, ...ignored];
  if (names.some((name) => !known.includes(name)) || new Set(names).size < names.length) {
    throw malformedCsv({
      detail: `The first line must name each column once. Known columns: ${columns.join(", ")}.`,
    });
  }
  if (!names.includes("name")) throw malformedCsv({ detail: "The column name is missing." });
  return names;
}

type Problem = Omit<Static<typeof Refused>, "line">;

function problemsOf(contact: object, cells: number, expected: number, check: Validator): Problem[] {
  if (cells !== expected) {
    return [{ field: null, reason: `has ${cells} cells, but the first line has ${expected}` }];
  }
  for (const [field, text] of Object.entries(contact)) {
    if (String(text).includes("\0"))
      return [{ field, reason: "has a character that can't be stored" }];
  }
  try {
    check(contact);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return (error.errors ?? []).map(({ pointer, message }) => ({
      field: pointer.replace("/body/", ""),
      reason: message,
    }));
  }
}
