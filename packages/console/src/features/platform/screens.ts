import type { Screen } from "../../lib/screen.ts";
import { accounts } from "./accounts/index.ts";
import { audit } from "./audit/index.ts";
import { health } from "./health/index.ts";
import { impersonations } from "./impersonations/index.ts";
import { jobs } from "./jobs/index.ts";
import { lab } from "./lab/index.ts";
import { logs } from "./logs/index.ts";
import { mails } from "./mails/index.ts";
import { moves } from "./moves/index.ts";
import { overview } from "./overview/index.ts";
import { servers } from "./servers/index.ts";
import { tenants } from "./tenants/index.ts";

/** The platform's screens, in the order of the menu. */
export const platformScreens: readonly Screen[] = [
  overview,
  lab,
  tenants,
  accounts,
  impersonations,
  jobs,
  mails,
  logs,
  audit,
  servers,
  moves,
  health,
];
