/**
 * The messages of PostgreSQL's extended-query protocol that are waiting to be sent over one
 * connection, written one behind the other into one buffer and taken as a whole: one `write` for all
 * statements of a turn of the event loop, where `pg` makes a buffer for each message.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { parameterText } from "./parameter-text.ts";

export interface WireBuffer {
  parse(name: string, text: string): void;
  /** Binds the values to the prepared statement and executes it, in the unnamed portal. */
  execute(name: string, values: readonly unknown[]): void;
  describe(name: string): void;
  close(name: string): void;
  sync(): void;
  /** What was written since, to be given to the socket; undefined if that is nothing. */
  take(): Buffer | undefined;
  /** Where the next message begins; `rewind` to it takes back what was written after. */
  mark(): number;
  rewind(mark: number): void;
}

const slabSize = 64 * 1024;
const maxMessage = 0x3fff_ffff;

export function createWireBuffer(): WireBuffer {
  let slab = Buffer.allocUnsafeSlow(slabSize);
  let start = 0;
  let end = 0;

  const reserve = (size: number) => {
    if (slab.length - end >= size) return;
    if (end - start + size > maxMessage) throw new RangeError("a statement's values are too large");
    // What was taken earlier may still be on its way, so a slab is never written twice.
    const next = Buffer.allocUnsafeSlow(Math.max(slabSize, (end - start + size) * 2));
    slab.copy(next, 0, start, end);
    slab = next;
    end -= start;
    start = 0;
  };
  const int32At = (at: number, value: number) => {
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
  };
  const int16 = (value: number) => {
    reserve(2);
    slab[end++] = value >>> 8;
    slab[end++] = value;
  };
  const string = (text: string) => {
    reserve(text.length * 3 + 1);
    end += slab.write(text, end);
    slab[end++] = 0;
  };
  const begin = (code: number) => {
    reserve(5);
    slab[end] = code;
    end += 5;
    return end - start;
  };
  const finish = (body: number) => int32At(start + body - 4, end - start - body + 4);
  const value = (mapped: string | Buffer | null) => {
    if (mapped === null) {
      reserve(4);
      int32At(end, -1);
      end += 4;
      return;
    }
    if (typeof mapped === "string") {
      reserve(mapped.length * 3 + 4);
      const length = slab.write(mapped, end + 4);
      int32At(end, length);
      end += 4 + length;
      return;
    }
    reserve(mapped.length + 4);
    int32At(end, mapped.length);
    end += 4 + mapped.copy(slab, end + 4);
  };
  const nameOnly = (code: number, name: string) => {
    const body = begin(code);
    reserve(1);
    slab[end++] = 0x53; // S: a prepared statement
    string(name);
    finish(body);
  };

  return {
    parse(name, text) {
      if (text.includes("\0")) throw new RangeError("a statement contains a NUL character");
      const body = begin(0x50); // P
      string(name);
      string(text);
      int16(0);
      finish(body);
    },
    execute(name, values) {
      // The protocol counts them in 16 bits: one more, and the rest would be read as other messages.
      if (values.length > 0xffff) throw new RangeError("a statement has more than 65535 values");
      const mapped = values.map(parameterText);
      const body = begin(0x42); // B
      string(""); // the unnamed portal
      string(name);
      if (mapped.some(Buffer.isBuffer)) {
        int16(mapped.length);
        for (const each of mapped) int16(Buffer.isBuffer(each) ? 1 : 0);
      } else {
        int16(0); // all as text
      }
      int16(mapped.length);
      for (const each of mapped) value(each);
      int16(0); // all results as text
      finish(body);
      reserve(executeMessage.length);
      end += executeMessage.copy(slab, end);
    },
    describe: (name) => nameOnly(0x44, name), // D
    close: (name) => nameOnly(0x43, name), // C
    sync() {
      finish(begin(0x53)); // S
    },
    take() {
      if (end === start) return undefined;
      const taken = slab.subarray(start, end);
      start = end;
      return taken;
    },
    mark: () => end - start,
    rewind(mark) {
      end = start + mark;
    },
  };
}

/** Execute the unnamed portal, without a limit of rows. */
const executeMessage = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
