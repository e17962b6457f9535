/** Vitest's `setupFiles`: properties of fast-check draw from the seed of the run. */
import fc from "fast-check";
import { seed } from "./random.ts";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
