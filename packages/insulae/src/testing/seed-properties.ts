/** Vitest's `setupFiles`: gives fast-check the seed of the run. */
import fc from "fast-check";
import { seed } from "./random.ts";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
