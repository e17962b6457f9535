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
import { setImmediate } from "node:timers/promises";
import { CsvError, parse } from "csv-parse";
import { stringify } from "csv-stringify/sync";
import { defineError } from "./errors.ts";

export const malformedCsv = defineError("malformed_csv", 400, "The body is not a valid CSV file");

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

/** A share of the event loop's time; other requests have theirs in between. */
const sliceMs = 5;
/** The parser reads so much without a pause: less than a slice, whatever it is. */
const pieceBytes = 4_096;

interface Parsed {
  readonly cells: readonly string[];
  /** In the file so far. */
  readonly emptyLines: number;
}

/**
 * The records, as they come; empty lines are none. Parsing them, and whatever the caller does with them,
 * lets the event loop turn every few milliseconds.
 *
 * @throws malformedCsv, or what reading the bytes throws
 */
export async function* csvRecords(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord> {
  const rest = createRest();
  const parser = parse({
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: maxRecordLength,
    on_record(cells: string[], { empty_lines: emptyLines }) {
      // The parser makes an error, with its stack, for each record of another length than the first one,
      // also where it throws none: 35 µs. To it, each is the first.
      Object.assign(parser.info, { records: 0 });
      return { cells, emptyLines } as unknown as string[]; // typed for the parser, which passes it on
    },
  });
  const source = Readable.from(utf8(bytes, rest));
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    // The parser's own count takes a CR LF within quotes for two.
    let line = 1;
    for await (const { cells, emptyLines } of parser as AsyncIterable<Parsed>) {
      if (cells.length > 1 || cells[0] !== "") {
        yield { line: line + emptyLines, cells: cells.map(textOf) };
      }
      line += 1 + (cells.join().match(/\r\n|\r|\n/g)?.length ?? 0);
      await rest();
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Its message may quote the file; the code says the same.
    const reason = error.code.replace("CSV_", "").replaceAll("_", " ").toLowerCase();
    throw malformedCsv({ detail: `Line ${String(error.lines)}: ${reason}.`, cause: error });
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** Text in small pieces, without a mark at its beginning. @throws malformedCsv if it is not UTF-8 */
async function* utf8(
  bytes: AsyncIterable<Uint8Array>,
  rest: () => Promise<void> | undefined,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (piece?: Uint8Array): string => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw malformedCsv({ detail: "The file is not UTF-8.", cause });
    }
  };
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      await rest();
      yield decode(chunk.subarray(at, at + pieceBytes));
    }
  }
  yield decode();
}

/** What waits for a turn of the event loop when a slice of its time is over. */
function createRest(): () => Promise<void> | undefined {
  let begun = performance.now();
  return () => {
    if (performance.now() - begun <= sliceMs) return undefined;
    return setImmediate().then(() => {
      begun = performance.now();
    });
  };
}
