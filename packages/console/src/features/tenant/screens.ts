import type { Screen } from "../../lib/screen.ts";
import { data } from "./data/index.ts";
import { overview } from "./overview/index.ts";

/** A tenant's screens, in the order of the menu. */
export const tenantScreens: readonly Screen[] = [overview, data];
