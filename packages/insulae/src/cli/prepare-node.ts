import type { App, Application } from "../app/app-api.ts";
import { makeFirstAdmin, makeStartToken } from "../app/first-admin.ts";
import { migratePlacements, openInstallation } from "../app/installation.ts";
import { createServices } from "../app/services.ts";
import type { Note } from "../app/starting.ts";
import type { Config } from "../config/config.ts";
import { featuresOf } from "../features/index.ts";
import type { Logger } from "../kernel/telemetry/log.ts";

/**
 * Does once for all workers what each server would do at its start: migrates, then runs `fn`.
 * Closes everything afterwards.
 */
export async function prepareNode<Result>(
  { features, settings, retired }: Application,
  config: Config,
  log: Logger,
  note: Note,
  fn: (
    ensureAdmin: App["ensureAdmin"],
    startToken: () => Promise<string | undefined>,
  ) => Promise<Result>,
): Promise<Result> {
  const installation = await openInstallation(config, featuresOf(config, features), log, {
    note,
    ...(retired && { retired }),
  });
  try {
    await migratePlacements(installation, note);
    const services = await createServices(installation, { settings });
    try {
      return await fn(
        (admin) => makeFirstAdmin(installation, services, admin),
        () => makeStartToken(installation, services),
      );
    } finally {
      await services.close();
    }
  } finally {
    await installation.close();
  }
}
