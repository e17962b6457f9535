/** Log lines for viewers at other workers: sent 50 times a second, and bounded. */
export interface OwnedLine {
  readonly line: string;
  readonly level: number;
  /** Absent: no tenant's. */
  readonly tenantId?: string | undefined;
}

const everyMs = 20;
/** Many times what a viewer can receive: 12 MiB a second. */
const maxLength = 262_144;
const warning = 40;

/** @param of the source, named in the notice about dropped lines */
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
    msg: `${count} lines of ${of} were dropped because there were too many`,
  })}\n`;
