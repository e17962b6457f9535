/**
 * `insulae start --workers`: this process is the primary. It owns the embedded PostgreSQL, migrates, makes the
 * first administrator, and then starts the workers, which are the servers.
 */
import type { Application } from "../application.ts";
import { type Config, loadConfig } from "../config.ts";
import { startEmbedded } from "../kernel/database/embedded/supervisor.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { createMetrics } from "../kernel/telemetry/metrics.ts";
import { measureProcess } from "../kernel/telemetry/process-metrics.ts";
import { createWorkersHub } from "../kernel/workers/hub.ts";
import { openLogging } from "../logging.ts";
import { shutdownTimes } from "../shutdown.ts";
import { version } from "../version.ts";
import type { CommandContext, Result } from "./command.ts";
import { createCrew } from "./crew.ts";
import { giveBackMemory } from "./heap.ts";
import { isPortTaken } from "./port.ts";
import { findFreeKey, firstAdmin, logFor, portTaken, urlOf } from "./starting.ts";
import { stopOnSignal } from "./stop.ts";
import { welcome, welcomeDocument } from "./welcome.ts";

/** So much before the primary's own deadline it kills the workers that hang, so that it ends in order itself. */
const beforeDeadlineMs = 300;

export async function startWorkers(
  { env, json, note, application, applicationFile }: CommandContext,
  overrides: Partial<Config>,
  workers: number,
): Promise<Result> {
  const parent = process.ppid;
  const config = loadConfig(env, overrides);
  if (await isPortTaken(config.host, config.port)) throw portTaken("PORT", config.port);

  const metrics = createMetrics();
  measureProcess(metrics, version);
  const hub = createWorkersHub({ metrics: metrics.text });
  const { log, file } = openLogging(config, logFor(config, json), hub.logs);
  const { deadlineMs } = shutdownTimes(config);
  const crew = createCrew({ workers, applicationFile, overrides, json, hub, log });
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, log: (message) => log.warn(message) });
  const close = async (onDatabaseStop: () => void) => {
    try {
      await crew.stop(deadlineMs - beforeDeadlineMs);
    } finally {
      onDatabaseStop();
      await embedded?.stop();
      await file?.close();
    }
  };
  let prepared: Awaited<ReturnType<typeof prepare>>;
  let address: string;
  try {
    prepared = await prepare(await application(), config, log);
    giveBackMemory();
    address = await crew.start();
  } catch (error) {
    await close(() => {}).catch(() => {}); // What failed first is what to say.
    throw error;
  }
  stopOnSignal({
    close,
    deadlineMs,
    note: config.env === "production" ? () => {} : note,
    parent,
    ...(file && {
      onHangUp: () => {
        file.reopen();
        crew.tellAll("reopenLog");
      },
    }),
  });
  const url = urlOf(config, address);
  const started = { version, url, config, ...prepared, seconds: performance.now() / 1000 };
  log.info({ version, url, pid: process.pid, workers }, "Insulae listens");
  const text = config.env === "production" ? "" : welcome(started);
  return { document: welcomeDocument(started), text };
}

/** What is done once, before there are workers. Its modules are not needed afterwards. */
async function prepare(application: Application, config: Config, log: Logger) {
  const { prepareNode } = await import("../prepare-node.ts");
  return prepareNode(application, config, log, async (services, ensureAdmin) => ({
    admin: await firstAdmin(config, ensureAdmin),
    freeKey: await findFreeKey(services.platform),
  }));
}
