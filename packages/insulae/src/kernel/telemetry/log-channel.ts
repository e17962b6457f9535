/**
 * Lines of the log on their way to viewers who want the same ones: one tenant's or all, in one format,
 * from one level on. The last `capacity` lines are kept once, for all of them; a viewer is a place in
 * them. They are kept in blocks, which are written out when the first viewer gets to them, as the
 * bytes that go to all: what a viewer is sent is a part of a block, not a copy.
 *
 *     dropped ◄── [ 41 42 43 44 ] [ 45 46 47 48 ] [ 49 50 ◄── push
 *                    ▲        ▲        ▲             ▲
 *                  viewer   viewer  viewers       viewers
 */
import { textFrame } from "../lib/text-frame.ts";
import { type Fields, formatDropped, formatLine, type LogFormat, readLine } from "./log-line.ts";

export interface Wanted {
  /** Undefined: all lines, nobody's too. */
  readonly tenantId: string | undefined;
  readonly format: LogFormat;
  /** The least level, as pino counts. */
  readonly least: number;
}

interface Line {
  readonly line: string;
  fields?: Fields;
  readonly frames: Partial<Record<LogFormat, Buffer>>;
}

/** A line that several channels may hold; it is read and written out at most once. */
export const lineOf = (line: string): Line => ({ line, frames: {} });

export interface Batch {
  readonly bytes: Buffer;
  /** Where to go on. */
  readonly next: number;
  /** How many lines were no longer there; then the bytes say so, and nothing else. */
  readonly dropped: number;
}

export interface Channel {
  readonly wanted: Wanted;
  push(line: Line): void;
  /** The place behind the last line. */
  readonly end: number;
  /** What there is from a place before the end on: so many bytes (a line at least), or fewer. */
  take(from: number, maxBytes: number): Batch;
}

interface Block {
  /** The lines that are written out, and room for more. */
  bytes: Buffer;
  /** Where each of these ends. */
  readonly ends: number[];
  /** The lines behind them. */
  readonly toWrite: Line[];
}

const maxLinesOfBlock = 256;

export function createChannel(wanted: Wanted, capacity: number): Channel {
  const { format } = wanted;
  const size = Math.min(capacity, maxLinesOfBlock);
  /** The oldest first. All are full but the last. */
  const blocks: Block[] = [];
  /** The place of the first block's first line. */
  let begin = 0;
  let end = 0;

  const frameOf = (line: Line): Buffer => {
    line.fields ??= readLine(line.line);
    line.frames[format] ??= textFrame(formatLine(line.fields, format));
    return line.frames[format];
  };

  const writeOut = (block: Block): void => {
    const { ends, toWrite } = block;
    for (const line of toWrite) {
      const frame = frameOf(line);
      const at = ends.at(-1) ?? 0;
      const needed = at + frame.length;
      if (block.bytes.length < needed) block.bytes = Buffer.concat([block.bytes], needed * 2);
      block.bytes.set(frame, at);
      ends.push(needed);
    }
    toWrite.length = 0;
  };

  return {
    wanted,
    push(line) {
      if (end - begin === blocks.length * size) {
        blocks.push({ bytes: Buffer.alloc(0), ends: [], toWrite: [] });
      }
      blocks.at(-1)?.toWrite.push(line);
      end += 1;
      if (begin + size <= end - capacity) {
        // The block may be in V8's old generation, where it would hold them for long.
        const gone = blocks.shift();
        if (gone) gone.toWrite.length = 0;
        begin += size;
      }
    },
    get end() {
      return end;
    },
    take(from, maxBytes) {
      const dropped = Math.max(0, end - capacity - from);
      if (dropped > 0) {
        const bytes = textFrame(formatDropped(dropped, Date.now(), format));
        return { bytes, next: from + dropped, dropped };
      }
      const index = Math.floor((from - begin) / size);
      const block = blocks[index] as Block; // there is one for each place before the end
      writeOut(block);
      const { bytes, ends } = block;
      const first = from - begin - index * size;
      const start = ends[first - 1] ?? 0;
      let last = first;
      while (last < ends.length - 1 && (ends[last] ?? 0) - start < maxBytes) last += 1;
      return { bytes: bytes.subarray(start, ends[last]), next: from + last + 1 - first, dropped };
    },
  };
}
