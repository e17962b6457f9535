/** Lines of the log on their way to viewers of other workers: 50 times a second, and a bounded number. */
export interface OwnedLine {
  readonly line: string;
  readonly level: number;
  /** Whose line it is; absent: nobody's. */
  readonly tenantId?: string | undefined;
}

const everyMs = 20;
/** As much as a viewer gets at once, many times over: 12 MiB a second. */
const maxLength = 262_144;
const warning = 40;

/** @param of whose lines they are, for the line that says that some are missing. */
export function createLineBatches(of: string, send: (lines: readonly OwnedLine[]) => void) {
  let lines: OwnedLine[] = [];
  let length = 0;
  let dropped = 0;

  const flush = (): void => {
    if (dropped > 0) lines.push({ line: missing(of, dropped), level: warning });
    send(lines);
    lines = [];
    length = 0;
    dropped = 0;
  };

  return {
    add(line: string, level: number, tenantId: string | undefined): void {
      if (lines.length === 0) setTimeout(flush, everyMs).unref();
      if (lines.length > 0 && length + line.length > maxLength) {
        dropped += 1;
        return;
      }
      length += line.length;
      lines.push({ line, level, tenantId });
    },
  };
}

const missing = (of: string, count: number): string =>
  `${JSON.stringify({
    level: warning,
    time: new Date().toISOString(),
    module: "logs",
    msg: `${count} lines of ${of} are missing here: there are too many at once`,
  })}\n`;
