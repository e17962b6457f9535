// The module's own: a test that stops the clock puts another `performance` in the place of the global one.
import { performance } from "node:perf_hooks";

/**
 * @param above a share of the time, from 0 to 1
 * @returns a function that tells whether this process's event loop has been busier than that since
 * the last
 *   call
 */
export function busyLoop(above: number): () => boolean {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization > above;
  };
}
