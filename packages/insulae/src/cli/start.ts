import { flushCompileCache } from "node:module";
import { createApp } from "../app.ts";
import { loadConfig } from "../config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import { shutdownTimes } from "../shutdown.ts";
import { version } from "../version.ts";
import type { CommandContext, Result } from "./command.ts";
import { giveBackMemory } from "./heap.ts";
import { isPortTaken } from "./port.ts";
import { startWorker, type WorkerRole, workerVariable } from "./start-worker.ts";
import {
  cannotListen,
  findFreeKey,
  firstAdmin,
  logFor,
  portTaken,
  urlOf,
  type Workers,
  workersOf,
} from "./starting.ts";
import { stopOnSignal } from "./stop.ts";
import { welcome, welcomeDocument } from "./welcome.ts";

/** Starts the server. It returns when it listens; the process goes on until it gets a signal. */
export async function start(
  context: CommandContext,
  { port, workers = 1 }: { readonly port?: number; readonly workers?: Workers },
): Promise<Result> {
  const { env, json, note } = context;
  const role = env[workerVariable];
  // What the primary wrote.
  if (role !== undefined) return startWorker(context, JSON.parse(role) as WorkerRole);
  const parent = process.ppid;
  const overrides = port === undefined ? {} : { port };
  const config = loadConfig(env, overrides);
  const count = workersOf(config, workers);
  if (count > 1) {
    return (await import("./start-workers.ts")).startWorkers(context, overrides, count);
  }
  // Before the database is started, which takes a while the first time.
  if (await isPortTaken(config.host, config.port)) throw portTaken("PORT", config.port);

  const log = logFor(config, json);
  let databaseStops = () => {};
  const onDatabaseStop = () => databaseStops();
  const application = await context.application();
  const app = await createApp({ ...application, env, config: overrides, log, onDatabaseStop });
  let address: string;
  let admin: FirstAdmin | undefined;
  try {
    admin = await firstAdmin(config, app.ensureAdmin);
    giveBackMemory();
    address = await app.listen().catch((error: unknown) => {
      throw cannotListen(error, config);
    });
  } catch (error) {
    await app.close();
    throw error;
  }
  stopOnSignal({
    close: (onDatabaseStop) => {
      databaseStops = onDatabaseStop;
      return app.close();
    },
    deadlineMs: shutdownTimes(config).deadlineMs,
    note: config.env === "production" ? () => {} : note,
    parent,
    ...(config.logFile !== undefined && { onHangUp: app.reopenLog }),
  });
  setImmediate(flushCompileCache);

  const url = urlOf(config, address);
  const started = {
    version,
    url,
    config,
    admin,
    freeKey: await findFreeKey(app),
    seconds: performance.now() / 1000,
  };
  const text = config.env === "production" ? "" : welcome(started);
  log.info({ version, url, pid: process.pid }, "Insulae listens");
  return { document: welcomeDocument(started), text };
}
