import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Application } from "../app/app-api.ts";
import { type Installation, openInstallation } from "../app/installation.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import type { Config } from "../config/config.ts";
import { type Check, look, warning } from "../doctor/check.ts";
import { checkInstallation } from "../doctor/installation.ts";
import { featuresOf } from "../features/index.ts";
import { NotSetUp } from "../kernel/tenancy/main-server.ts";

/** Checks an installation that has been set up: roles, control plane, placements. */
export async function checkTenants(
  config: Config,
  { features, retired }: Application,
  url: string,
): Promise<readonly Check[]> {
  // Without the secret, opening the installation would create a new one.
  if (!config.masterSecret && !existsSync(join(config.dataDir, "secret"))) return [];
  return look("set-up", "run insulae migrate up", async () => {
    let installation: Installation;
    try {
      const log = createTerminalLogger("silent");
      installation = await openInstallation(
        { ...config, databaseUrl: config.databaseUrl ?? url },
        featuresOf(config, features),
        log,
        { whenDue: "leave", ...(retired && { retired }) },
      );
    } catch (error) {
      if (!(error instanceof NotSetUp)) throw error;
      return warning("set-up", error.message, "run insulae start, or insulae migrate up");
    }
    try {
      return await checkInstallation(installation);
    } finally {
      await installation.close();
    }
  });
}
