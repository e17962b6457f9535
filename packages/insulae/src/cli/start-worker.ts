/**
 * A worker process of `insulae start --workers`: a server like any other, with its share of the
 * node's resources, controlled by the primary. It ignores signals, because terminals and some
 * supervisors send them to all processes; the primary handles them.
 */
import { createApp } from "../app/app.ts";
import type { App } from "../app/app-api.ts";
import { createDefaultLog } from "../app/starting.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import { type Config, loadConfig } from "../config/config.ts";
import { exitCodes, explain } from "../doctor/failure.ts";
import { exactShareOf, shareOf } from "../kernel/lib/worker-share.ts";
import { createWorkerLink } from "../kernel/workers/link.ts";
import { createPeer } from "../kernel/workers/peer.ts";
import type { CommandContext, Result } from "./command.ts";
import { giveBackMemory } from "./heap.ts";

/** The variable by which the primary passes a worker its role. */
export const workerVariable = "INSULAE_WORKER";

export interface WorkerRole {
  /** 1, 2, … */
  readonly id: number;
  readonly workers: number;
  readonly overrides: Partial<Config>;
  /** Whether stdout is reserved for a JSON document and the log goes to stderr. */
  readonly json: boolean;
}

/** The primary migrates the databases before it starts workers. */
const shares = (config: Config, { id, workers }: WorkerRole): Partial<Config> => ({
  workers,
  migrateOnStart: false,
  databaseConnections: exactShareOf(config.databaseConnections, id, workers),
  jobsConcurrency: exactShareOf(config.jobsConcurrency, id, workers),
  cacheMegabytes: shareOf(config.cacheMegabytes, workers),
});

export async function startWorker(
  { env, application }: CommandContext,
  role: WorkerRole,
): Promise<Result> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  const peer = createPeer({
    send: (message) => process.send?.(message, undefined, undefined, () => {}),
    onMessage: (handle) => process.on("message", handle),
  });
  const told = Promise.withResolvers<void>();
  peer.on("stop", told.resolve);
  peer.on("ping", () => {});
  let app: App | undefined;
  try {
    const settings = loadConfig(env, role.overrides);
    const overrides = { ...role.overrides, ...shares(settings, role) };
    const config = loadConfig(env, overrides);
    const worker = createWorkerLink(role.id, role.workers, peer);
    const ownLog = role.json ? createTerminalLogger(config.logLevel) : createDefaultLog(config);
    const log = ownLog.child({ worker: role.id });
    app = await createApp({ ...(await application()), env, config: overrides, log, worker });
    giveBackMemory();
    const address = await app.listen();
    peer.on("reopenLog", app.reopenLog);
    peer.notify("listening", address);
  } catch (error) {
    await app?.close();
    const { code, message, exitCode } = explain(error);
    await peer.ask("failed", { code, message, exitCode });
    process.exit(exitCode);
  }
  void told.promise.then(app.close).then(
    () => process.exit(exitCodes.ok),
    () => process.exit(exitCodes.failed),
  );
  return { document: undefined, text: "" };
}
