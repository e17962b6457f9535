/**
 * The log in a file. Lines are written in the background, one write at a time, and nobody waits for
 * them: where the disk is full or slow, what doesn't fit into the buffer is dropped, and the file says
 * how many lines are missing once it can be written to again. Rotation is another program's: it moves
 * the file away and sends SIGHUP (`reopen`).
 */
import { close, mkdirSync, openSync, write } from "node:fs";
import { dirname } from "node:path";
import { oneLine } from "./log.ts";

export interface LogFile {
  readonly write: (line: string) => void;
  /** What comes from now on goes to a file of the name. @throws if it can't be opened; the old one stays. */
  readonly reopen: () => void;
  /** Writes what is left, for a moment. */
  readonly close: () => Promise<void>;
}

const maxBuffered = 8_388_608;
const maxAtOnce = 1_048_576;
const retryMs = 1_000;
const closeMs = 500;

/** @throws if the file can't be made or opened. */
export function openLogFile(path: string): LogFile {
  const open = (): number => openSync(path, "a", 0o640);
  mkdirSync(dirname(path), { recursive: true });
  let file = open();
  let lines: string[] = [];
  let buffered = 0;
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let closed = false;

  const append = (to: number, bytes: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      write(to, bytes, (error, written) => (error ? reject(error) : resolve(written)));
    });

  const take = (): Buffer => {
    const batch: string[] = [];
    let size = 0;
    if (dropped > 0) batch.push(`${JSON.stringify(missing(dropped))}\n`);
    dropped = 0;
    let count = 0;
    for (const line of lines) {
      if (size >= maxAtOnce) break;
      batch.push(line);
      size += line.length;
      count += 1;
    }
    lines = lines.slice(count);
    buffered -= size;
    return Buffer.from(batch.join(""));
  };

  const drain = async (): Promise<void> => {
    while (lines.length > 0 || dropped > 0) {
      const batch = take();
      let rest = batch;
      let target = file;
      while (rest.length > 0) {
        // A line that was begun ends in the same file.
        if (rest === batch) target = file;
        try {
          rest = rest.subarray(await append(target, rest));
        } catch {
          if (closed) return;
          await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
        }
      }
    }
  };

  const begin = (): void => {
    writing ??= drain().finally(() => {
      writing = undefined;
    });
  };

  return {
    write(line) {
      if (closed) return;
      if (buffered + line.length > maxBuffered) dropped += 1;
      else {
        lines.push(oneLine(line));
        buffered += line.length;
      }
      begin();
    },
    reopen() {
      const old = file;
      file = open();
      // A write that is under way ends in the old one.
      void (writing ?? Promise.resolve()).finally(() => close(old, () => {}));
    },
    async close() {
      closed = true;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, closeMs);
      await Promise.race([writing, late.promise]);
      clearTimeout(timer);
      close(file, () => {});
    },
  };
}

const missing = (count: number) => ({
  level: 40,
  time: new Date().toISOString(),
  module: "logs",
  msg: `${count} lines are missing: LOG_FILE could not be written to`,
});
