/**
 * Reads the messages that PostgreSQL sends: finds where each begins and ends, and decodes the few kinds that
 * carry something. A message is not copied: whoever receives one gets the bytes it is in, and its place there.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { DatabaseError } from "pg";

/** The first byte of a message says what it is. */
export const code = {
  parseComplete: 0x31, // 1
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  notification: 0x41, // A
  commandComplete: 0x43, // C
  dataRow: 0x44, // D
  errorResponse: 0x45, // E
  emptyQuery: 0x49, // I
  notice: 0x4e, // N
  parameterStatus: 0x53, // S
  rowDescription: 0x54, // T
  readyForQuery: 0x5a, // Z
  noData: 0x6e, // n
  parameterDescription: 0x74, // t
} as const;

/** The server sends these when it likes, also between the parts of an answer. */
export const isUnasked = (type: number): boolean =>
  type === code.notice || type === code.parameterStatus || type === code.notification;

/** The bytes are no messages of PostgreSQL's. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
}

/** @param start where the message's body begins in `bytes`, after its type and length. @param end where it ends. */
export type Receive = (type: number, bytes: Buffer, start: number, end: number) => void;

/** The type and the length, which counts itself. */
export const headerLength = 5;
/** PostgreSQL makes no longer one. */
const maxLength = 0x4000_0000;

/**
 * Cuts what arrives into messages. Pieces of a message are kept as they came, and joined once, when it is whole.
 *
 * @returns what to call with each chunk. @throws MalformedMessage; and whatever `receive` throws
 */
export function createMessageReader(receive: Receive): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  let held = 0;
  /** How many bytes the next look is worth. */
  let wanted = headerLength;

  return (chunk) => {
    let bytes = chunk;
    if (held > 0) {
      pieces.push(chunk);
      held += chunk.length;
      if (held < wanted) return;
      bytes = Buffer.concat(pieces, held);
      pieces = [];
      held = 0;
    }
    wanted = headerLength;
    let at = 0;
    while (bytes.length - at >= headerLength) {
      const length = bytes.readUInt32BE(at + 1);
      if (length < 4 || length > maxLength) throw new MalformedMessage(`its length is ${length}`);
      const end = at + 1 + length;
      if (end > bytes.length) {
        wanted = 1 + length;
        break;
      }
      receive(bytes[at] ?? 0, bytes, at + headerLength, end);
      at = end;
    }
    if (at < bytes.length) {
      pieces.push(at === 0 ? bytes : bytes.subarray(at));
      held = bytes.length - at;
    }
  };
}

/** The columns of a DataRow as text; null where it is SQL's. @throws MalformedMessage */
export function textsOf(bytes: Buffer, start: number, end: number): (string | null)[] {
  const texts: (string | null)[] = [];
  let at = start + 2;
  while (at < end) {
    const length = lengthAt(bytes, at, end);
    at += 4;
    texts.push(length < 0 ? null : bytes.toString("utf8", at, at + length));
    if (length > 0) at += length;
  }
  if (at !== end || texts.length !== bytes.readUInt16BE(start)) throw misfitting();
  return texts;
}

/** Whether a DataRow's first column is this text, which is ASCII. */
export function startsWith(text: string, bytes: Buffer, start: number, end: number): boolean {
  const at = start + 6;
  if (at > end || lengthAt(bytes, start + 2, end) !== text.length) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (bytes[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Of the column that begins here; negative for null. */
function lengthAt(bytes: Buffer, at: number, end: number): number {
  if (at + 4 > end) throw misfitting();
  const length = bytes.readInt32BE(at);
  if (at + 4 + length > end) throw misfitting();
  return length;
}

const misfitting = () => new MalformedMessage("its parts do not fit its length");

export interface Field {
  readonly name: string;
  readonly typeOid: number;
}

/** The columns that a RowDescription announces. @throws MalformedMessage */
export function fieldsOf(bytes: Buffer, start: number, end: number): Field[] {
  const fields: Field[] = [];
  let at = start + 2;
  while (at < end) {
    const nul = bytes.indexOf(0, at);
    // After the name: table (4), column (2), type (4), its size (2), its modifier (4), format (2).
    if (nul < 0 || nul + 19 > end) throw misfitting();
    fields.push({ name: bytes.toString("utf8", at, nul), typeOid: bytes.readUInt32BE(nul + 7) });
    at = nul + 19;
  }
  return fields;
}

/** What CommandComplete says: `SELECT 3`, `INSERT 0 1`. */
export const tagOf = (bytes: Buffer, start: number, end: number): string =>
  bytes.toString("latin1", start, end - 1);

const errorFields = {
  C: "code",
  D: "detail",
  H: "hint",
  P: "position",
  p: "internalPosition",
  q: "internalQuery",
  W: "where",
  s: "schema",
  t: "table",
  c: "column",
  d: "dataType",
  n: "constraint",
  F: "file",
  L: "line",
  R: "routine",
} as const;
const isErrorField = (letter: string): letter is keyof typeof errorFields =>
  Object.hasOwn(errorFields, letter);

/** What ErrorResponse says, as the error that `pg` makes of it. @throws MalformedMessage */
export function errorOf(bytes: Buffer, start: number, end: number): DatabaseError {
  const texts = new Map<string, string>();
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const nul = bytes.indexOf(0, at + 1);
    if (nul < 0 || nul >= end) throw misfitting();
    texts.set(String.fromCharCode(bytes[at] ?? 0), bytes.toString("utf8", at + 1, nul));
    at = nul + 1;
  }
  const error = new DatabaseError(texts.get("M") ?? "", end - start + 4, "error");
  // `V` is `S` in English, whatever the language of the server.
  error.severity = texts.get("V") ?? texts.get("S");
  for (const [letter, text] of texts) {
    if (isErrorField(letter)) error[errorFields[letter]] = text;
  }
  return error;
}
