/**
 * CSV (RFC 4180), out and in.
 *
 * A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` for a formula, also one that somebody has
 * registered as their name. Such a cell gets an apostrophe in front, which spreadsheets take for "this is
 * text" and don't show; what looks like that already gets one more. Numbers and telephone numbers
 * (`-3.50`, `+49 30 1234`) can do nothing and stay as they are. Reading takes the apostrophe away again, so
 * what was written comes back as it was.
 *
 * A spreadsheet that is told to separate by something else than the comma (`;`, tab) cuts cells in two, quoted or
 * not, and what follows may be a formula. No CSV prevents that and is still read as it was written.
 */
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { stringify } from "csv-stringify/sync";
import { defineError } from "./errors.ts";

export const malformedCsv = defineError("malformed_csv", 400, "The body is not acceptable CSV");

const formula = /^'*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/u;
const number = /^[+-][\d\s().,/-]*$/u;
const escapedFormula = /^'+[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/u;

const cellOf = (value: unknown): string => {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return formula.test(text) && !number.test(text) ? `'${text}` : text;
};

const textOf = (cell: string): string => (escapedFormula.test(cell) ? cell.slice(1) : cell);

/** One line each, ending in CR LF. Null is an empty cell. */
export const csvText = (rows: readonly (readonly unknown[])[]): string =>
  stringify(
    rows.map((row) => row.map(cellOf)),
    // Half of a line's end is one to many readers, too.
    { record_delimiter: "windows", quoted_match: /[\r\n]/ },
  );

export interface CsvRecord {
  /** On which it begins; the first is 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** A cell and its neighbours, before anybody looks at them. */
const maxRecordLength = 65_536;

/**
 * The records, as they come; empty lines are none.
 *
 * @throws malformedCsv, or what reading the bytes throws
 */
export async function* csvRecords(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord> {
  const parser = parse({
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    max_record_size: maxRecordLength,
  });
  const source = Readable.from(utf8(bytes));
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    // The parser's own count takes a CR LF within quotes for two.
    let line = 1;
    for await (const record of parser as AsyncIterable<readonly string[]>) {
      if (record.length > 1 || record[0] !== "") yield { line, cells: record.map(textOf) };
      line += 1 + (record.join().match(/\r\n|\r|\n/g)?.length ?? 0);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Its message may quote the file; the code says the same.
    const reason = error.code.replace("CSV_", "").replaceAll("_", " ").toLowerCase();
    throw malformedCsv({ detail: `Line ${String(error.lines)}: ${reason}`, cause: error });
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** Text, without a mark at its beginning. @throws malformedCsv if it is not UTF-8 */
async function* utf8(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw malformedCsv({ detail: "It is not UTF-8", cause });
    }
  };
  for await (const chunk of bytes) yield decode(chunk);
  yield decode();
}
