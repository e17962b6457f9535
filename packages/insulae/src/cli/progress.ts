export interface Progress {
  /** Tells how far it is. */
  update(done: number, total: number): void;
  /** Tells something in a line of its own. */
  line(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

type Stream = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

const width = 30;

/**
 * Shows how far a long task is: a bar on a terminal; elsewhere a line for each tenth, so that a log
 * of it stays short.
 */
export function createProgress(what: string, stream: Stream = process.stderr): Progress {
  let tenths = -1;
  let bar = "";
  const clear = stream.isTTY ? "\r\x1b[2K" : "";

  return {
    update(done, total) {
      const share = total === 0 ? 1 : done / total;
      if (!stream.isTTY) {
        if (Math.floor(share * 10) === tenths) return;
        tenths = Math.floor(share * 10);
        stream.write(`${what}: ${done} of ${total}\n`);
        return;
      }
      const full = Math.round(share * width);
      bar = `${what} ${"█".repeat(full)}${"░".repeat(width - full)} ${done}/${total}`;
      stream.write(`${clear}${bar}`);
    },
    line: (text) => void stream.write(`${clear}${text}\n${stream.isTTY ? bar : ""}`),
    end() {
      bar = "";
      stream.write(clear);
    },
  };
}
