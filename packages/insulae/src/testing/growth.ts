/**
 * Measures how the cost of an operation grows with the length of its input. Times depend on the
 * machine and its load; the ratio of two times does not, if both are long enough to measure.
 */

export interface Growth {
  /** The length of the shorter text. */
  readonly length: number;
  /** The processor time for a text four times as long, divided by that for the shorter one. */
  readonly ratio: number;
}

export interface GrowthOptions {
  /** Default 256 KiB: what is unmeasurable then is no danger. */
  readonly longest?: number;
}

const measurableMs = 4;
const times = 4;

/**
 * Linear work has a ratio of 4, quadratic work of 16. Texts are lengthened until the work is
 * measurable.
 *
 * @param piece repeated to make the texts; the last character, if given, makes them fail late
 * @returns undefined if even the longest text takes too little time
 */
export async function growthOf(
  work: (text: string) => unknown,
  [piece, last = ""]: readonly [piece: string, last?: string],
  { longest = 262_144 }: GrowthOptions = {},
): Promise<Growth | undefined> {
  const text = (length: number) => piece.repeat(Math.ceil(length / piece.length)) + last;
  for (let length = 2_048; length * times <= longest; length *= 2) {
    const [shorter, longer] = [text(length), text(length * times)];
    const base = await shortest(() => work(shorter), 2);
    if (base < measurableMs) continue;
    // The minimum, because other processes and the garbage collector don't disturb all runs.
    let ratio = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 4 && ratio >= 2 * times; attempt += 1) {
      const [short, long] = [
        await shortest(() => work(shorter), 3),
        await shortest(() => work(longer), 2),
      ];
      ratio = Math.min(ratio, long / Math.max(short, base));
    }
    return { length, ratio };
  }
  return undefined;
}

async function shortest(run: () => unknown, runs: number): Promise<number> {
  let found = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i += 1) {
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    found = Math.min(found, (user + system) / 1_000);
  }
  return found;
}
