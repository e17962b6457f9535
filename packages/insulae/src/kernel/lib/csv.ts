/**
 * Writes and reads CSV (RFC 4180).
 *
 * Formula injection: spreadsheets treat a cell that begins with `=`, `+`, `-` or `@` as a formula,
 * even if it is somebody's registered name. The writer prefixes such cells with an apostrophe,
 * which spreadsheets read as "text" and don't display; cells that already look like that get
 * another one. Numbers and telephone numbers (`-3.50`, `+49 30 1234`) are harmless and stay
 * unchanged. The reader removes the apostrophe again, so a round trip preserves the values.
 *
 * A spreadsheet configured to split at another separator (`;`, tab) splits cells even within
 * quotes, and the rest may be a formula. No CSV can prevent that and still be read back unchanged.
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

/** One line per row, ending in CR LF. Null becomes an empty cell. */
export const csvText = (rows: readonly (readonly unknown[])[]): string =>
  stringify(
    rows.map((row) => row.map(cellOf)),
    // Quote lone CR and LF too: many readers treat them as line ends.
    { record_delimiter: "windows", quoted_match: /[\r\n]/ },
  );

export interface CsvRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** The maximum length of a record. */
const maxRecordLength = 65_536;

/** How long to parse before yielding to other requests. */
const sliceMs = 5;
/** The parser reads this much without a pause: always less than a slice. */
const pieceBytes = 4_096;

interface Parsed {
  readonly cells: readonly string[];
  /** So far in the file. */
  readonly emptyLines: number;
}

/**
 * Yields the records as they arrive, skipping empty lines. Yields to the event loop every few
 * milliseconds, including the time that the caller spends on a record.
 *
 * @throws malformedCsv, and errors from reading the bytes
 */
export async function* csvRecords(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord> {
  const rest = createRest();
  const parser = parse({
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: maxRecordLength,
    on_record(cells: string[], { empty_lines: emptyLines }) {
      // For each record whose length differs from the first one's, the parser creates an error with
      // a stack, even if it doesn't throw it: 35 µs. Make every record look like the first.
      Object.assign(parser.info, { records: 0 });
      return { cells, emptyLines } as unknown as string[]; // typed for the parser, which passes it on
    },
  });
  const source = Readable.from(utf8(bytes, rest));
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    // Count here: the parser counts a CR LF within quotes as two.
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
    // The parser's message may quote the file; its code has the same information.
    const reason = error.code.replace("CSV_", "").replaceAll("_", " ").toLowerCase();
    throw malformedCsv({ detail: `Line ${String(error.lines)}: ${reason}.`, cause: error });
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/**
 * Decodes the text in small pieces, without a byte order mark. @throws malformedCsv if it is not
 * UTF-8
 */
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

/** Returns a promise to wait for when a slice is used up. */
function createRest(): () => Promise<void> | undefined {
  let begun = performance.now();
  return () => {
    if (performance.now() - begun <= sliceMs) return undefined;
    return setImmediate().then(() => {
      begun = performance.now();
    });
  };
}
