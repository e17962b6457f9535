/**
 * Lines of the log on their way to viewers who want the same ones: one tenant's or all, in one format,
 * from one level on. The last `capacity` lines are kept once, for all of them; a viewer is a place in
 * them. A line is written out when the first viewer gets to it, as the bytes that go to all.
 *
 *     dropped ◄── [ 41 42 43 44 45 46 ] ◄── push
 *                    ▲        ▲     ▲
 *                  viewer   viewer  viewers
 */
import { textFrame } from "../http/text-frame.ts";
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
  /** How many lines were no longer there. */
  readonly dropped: number;
}

export interface Channel {
  readonly wanted: Wanted;
  push(line: Line): void;
  /** The place behind the last line. */
  readonly end: number;
  /** What there is from a place on, up to so many bytes (a line at least). */
  take(from: number, maxBytes: number): Batch;
}

export function createChannel(wanted: Wanted, capacity: number): Channel {
  const { format } = wanted;
  const ring = new Array<Line | undefined>(capacity);
  let end = 0;
  /** Most viewers are at the same place. */
  let last: { from: number; end: number; batch: Batch } | undefined;

  const frameOf = (line: Line): Buffer => {
    line.fields ??= readLine(line.line);
    line.frames[format] ??= textFrame(formatLine(line.fields, format));
    return line.frames[format];
  };

  return {
    wanted,
    push(line) {
      ring[end % capacity] = line;
      end += 1;
    },
    get end() {
      return end;
    },
    take(from, maxBytes) {
      if (last?.from === from && last.end === end) return last.batch;
      const first = Math.max(from, end - capacity);
      const dropped = first - from;
      const frames = dropped > 0 ? [textFrame(formatDropped(dropped, Date.now(), format))] : [];
      let bytes = 0;
      let next = first;
      for (; next < end && bytes < maxBytes; next += 1) {
        const line = ring[next % capacity];
        if (!line) continue;
        const frame = frameOf(line);
        frames.push(frame);
        bytes += frame.length;
      }
      const batch = { bytes: Buffer.concat(frames), next, dropped };
      last = { from, end, batch };
      return batch;
    },
  };
}
