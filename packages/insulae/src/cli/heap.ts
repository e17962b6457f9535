import { setFlagsFromString } from "node:v8";

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
