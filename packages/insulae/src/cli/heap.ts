import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Makes V8 allocate every object in the young generation.
 *
 * By default V8 observes in the first seconds which objects survive a collection and then allocates
 * those in the old generation (pretenuring). Under a flood, queued requests do survive. From then
 * on, each collection copies everything that such objects refer to, dead or not: pauses of 10 to 25
 * ms instead of 2. Whether this happens is a matter of luck, and it lasts until the process ends.
 *
 * Only the owner of a process may change V8 flags, and only before other code has run. A program
 * that calls `createApp()` itself should be started with the flag.
 */
export const allocateYoung = (): void => setFlagsFromString("--no-allocation-site-pretenuring");

/**
 * Frees the memory used during start-up: some 55 MB of garbage and reserve that V8 would otherwise
 * keep until it needs it. Takes about 100 ms, so call it before serving.
 */
export function giveBackMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect: NonNullable<typeof gc> = runInNewContext("gc");
  // "last-resort" makes V8 release reserved space too.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
