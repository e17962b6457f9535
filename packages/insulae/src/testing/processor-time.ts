/**
 * The processor time in milliseconds of the fastest of three runs, which a loaded machine disturbs
 * least: only an algorithm with quadratic cost fails.
 */
export function shortestRun(run: () => void): number {
  const times = [1, 2, 3].map(() => {
    const before = process.threadCpuUsage();
    run();
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

/** The processor time of all threads in milliseconds, including those that hash passwords. */
export async function processorTime(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
