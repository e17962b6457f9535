/** Opens what a command needs and closes it afterwards, whatever happened. */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Installation, type OpenOptions, openInstallation } from "../app/installation.ts";
import { createServices, type Services } from "../app/services.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import { type Config, loadConfig } from "../config/config.ts";
import { featuresOf } from "../features/index.ts";
import { type AuditActor, type AuditEvent, createAudit } from "../kernel/audit/audit.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { NotSetUp } from "../kernel/tenancy/main-server.ts";
import type { CommandContext } from "./command.ts";

/** Commands write data to stdout, so they log to stderr, and little. */
export function commandSettings({ env }: CommandContext): { config: Config; log: Logger } {
  const config = loadConfig(env);
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  return { config, log: createTerminalLogger(level) };
}

/**
 * What a command is about to do. Commands that only read also work if the application has changed.
 */
export type Purpose = keyof typeof waysToOpen;

const waysToOpen = {
  /** Read the data, whichever version wrote it. */
  inspect: () => ({ whenDue: "leave", refuseForeign: false }),
  look: () => ({ whenDue: "refuse", refuseForeign: false }),
  change: ({ migrateOnStart }) => ({
    whenDue: migrateOnStart ? "migrate" : "refuse",
    refuseForeign: true,
  }),
  migrate: () => ({ whenDue: "migrate", refuseForeign: true }),
  revert: () => ({ whenDue: "leave", refuseForeign: true }),
} as const satisfies Record<string, (config: Config) => OpenOptions>;

/**
 * @throws NotSetUp if there is nothing to read; FeaturesMissing if the command changes something
 * and the database has features that the application lacks
 */
export async function withInstallation<T>(
  context: CommandContext,
  purpose: Purpose,
  fn: (installation: Installation) => Promise<T>,
): Promise<T> {
  const { config, log } = commandSettings(context);
  if (purpose === "inspect" || purpose === "look") requireData(config);
  const { features, retired } = await context.application();
  const installation = await openInstallation(config, featuresOf(config, features), log, {
    note: context.note,
    ...(retired && { retired }),
    ...waysToOpen[purpose](config),
  });
  try {
    return await fn(installation);
  } finally {
    await installation.close();
  }
}

/** Commands that only read must not create a data folder with a database. */
function requireData({ databaseUrl, dataDir }: Config): void {
  if (databaseUrl !== undefined || existsSync(join(dataDir, "postgres", "cluster.json"))) return;
  throw new NotSetUp(`There is nothing in ${dataDir} yet. Run \`insulae start\` to set it up.`);
}

/** The actor in the audit log: the operating system's user who typed the command. */
export const cliActor = (): AuditActor => ({ kind: "system", name: `cli: ${userInfo().username}` });

/** Audits a command that needs no services, in the platform's log. */
export const auditCommand =
  ({ control, databaseOf, log }: Installation) =>
  (event: AuditEvent): Promise<void> =>
    createAudit({ control, databaseOf, log }, () => {}).write({ ...event, actor: cliActor() });

/** @param fn receives the same services as routes, on the same databases */
export const withServices = <T>(
  context: CommandContext,
  purpose: Purpose,
  fn: (services: Services, installation: Installation) => Promise<T>,
): Promise<T> =>
  withInstallation(context, purpose, async (installation) => {
    const services = await createServices(installation);
    try {
      return await fn(services, installation);
    } finally {
      await services.close();
    }
  });
