/**
 * How the work of something grows with the length of a text. Times depend on the machine and on what else
 * it does; the ratio of two does not, as long as both are long enough to be measured.
 */

export interface Growth {
  /** Of the shorter text. */
  readonly length: number;
  /** The processor time for a text four times as long, divided by that for the shorter one. */
  readonly ratio: number;
}

export interface GrowthOptions {
  /** Default 256 KiB: what is not measurable there is no danger. */
  readonly longest?: number;
}

const measurableMs = 4;
const times = 4;

/**
 * Linear work has a ratio of 4, and quadratic work of 16. The texts are made longer until the work can be
 * measured.
 *
 * @param piece of which the texts are made; the last character makes it fail late, if it is given.
 * @returns undefined if the longest text is still too little to be measured.
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
    // What another process or the collector of garbage adds is not in all of them.
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
