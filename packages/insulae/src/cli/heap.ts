import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Has V8 make every object in the young generation. Else it watches, in the first seconds, which of them
 * outlive a collection, and makes these in the old generation from then on. Under a flood requests wait,
 * so they do; and all that such an object points to, dead or not, is copied by each collection from then
 * on: 10 to 25 ms for everybody, instead of 2. Whether that happens is a matter of luck, and lasts until
 * the process ends.
 *
 * Only whoever owns the process may change a flag of V8, and only before anything has run. A program that
 * makes an app by `createApp()` is started with the flag instead.
 */
export const allocateYoung = (): void => setFlagsFromString("--no-allocation-site-pretenuring");

/**
 * Gives back what starting took: some 55 MB of garbage and of space for more, which V8 would keep until it
 * needs some. It takes a tenth of a second, so it is done before anybody is served.
 */
export function giveBackMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect: NonNullable<typeof gc> = runInNewContext("gc");
  // With "last-resort", V8 keeps no space either.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
