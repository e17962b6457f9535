/** What a command opens before it does its work, and closes after it, whatever happened. */
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

/** Commands have data on stdout, so that what they log goes to stderr, and is little. */
export function commandSettings({ env }: CommandContext): { config: Config; log: Logger } {
  const config = loadConfig(env);
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  return { config, log: createTerminalLogger(level) };
}

/** What a command is about to do; only those that read also work on an application that has been changed. */
export type Purpose = keyof typeof waysToOpen;

const waysToOpen = {
  /** Read what there is, whichever version made it. */
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
 * @throws NotSetUp where there is nothing to look at; FeaturesMissing where something is to be changed, and
 *   the database has features that the application lacks.
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

/** Who only looks makes no data folder, and no database in it. */
function requireData({ databaseUrl, dataDir }: Config): void {
  if (databaseUrl !== undefined || existsSync(join(dataDir, "postgres", "cluster.json"))) return;
  throw new NotSetUp(`There is nothing in ${dataDir} yet: \`insulae start\` sets it up.`);
}

/** Who acts in the audit log: the machine's user who typed the command. */
export const cliActor = (): AuditActor => ({ kind: "system", name: `cli: ${userInfo().username}` });

/** Writes to the platform's audit log what the command did, where it needs no services. */
export const auditCommand =
  ({ control, databaseOf, log }: Installation) =>
  (event: AuditEvent): Promise<void> =>
    createAudit({ control, databaseOf, log }, () => {}).write({ ...event, actor: cliActor() });

/** @param fn gets the services that routes get, on the same databases. */
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
