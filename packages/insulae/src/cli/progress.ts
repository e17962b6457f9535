export interface Progress {
  /** Updates the progress. */
  update(done: number, total: number): void;
  /** Prints a separate line. */
  line(text: string): void;
  /** Removes the bar. */
  end(): void;
}

type Stream = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

const width = 30;

/**
 * Shows the progress of a long task: a bar on a terminal, otherwise one line per tenth, so that
 * logs stay short.
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
