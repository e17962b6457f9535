/** What a command opens before it does its work, and closes after it, whatever happened. */
import { userInfo } from "node:os";
import { type Config, loadConfig } from "../config.ts";
import { coreFeatures, standardFeatures } from "../features/index.ts";
import { type Installation, openInstallation, type WhenDue } from "../installation.ts";
import { type AuditActor, type AuditEvent, createAudit } from "../kernel/audit/audit.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { createTerminalLogger } from "../kernel/telemetry/terminal-log.ts";
import { createServices, type Services } from "../services.ts";
import type { CommandContext } from "./command.ts";

/** The features of the server that `insulae start` runs. */
export const serverFeatures = [...coreFeatures, ...standardFeatures];

/** Commands have data on stdout, so that what they log goes to stderr, and is little. */
export function commandSettings({ env }: CommandContext): { config: Config; log: Logger } {
  const config = loadConfig(env);
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  return { config, log: createTerminalLogger(level) };
}

export async function withInstallation<T>(
  context: CommandContext,
  whenDue: WhenDue | undefined,
  fn: (installation: Installation) => Promise<T>,
): Promise<T> {
  const { config, log } = commandSettings(context);
  const installation = await openInstallation(config, serverFeatures, log, whenDue);
  try {
    return await fn(installation);
  } finally {
    await installation.close();
  }
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
  fn: (services: Services, installation: Installation) => Promise<T>,
): Promise<T> =>
  withInstallation(context, undefined, async (installation) => {
    const services = await createServices(installation);
    try {
      return await fn(services, installation);
    } finally {
      await services.close();
    }
  });
