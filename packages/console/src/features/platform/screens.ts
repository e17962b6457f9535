import type { Screen } from "../../lib/screen.ts";
import { lab } from "./lab/index.ts";
import { tenants } from "./tenants/index.ts";

/** The platform's screens, in the order of the menu. */
export const platformScreens: readonly Screen[] = [lab, tenants];
