/**
 * `insulae start --workers`: this process is the primary. It owns the embedded PostgreSQL,
 * migrates, creates the first administrator, and then starts the workers, which serve.
 */
import type { Application } from "../app/app-api.ts";
import { warnOfLinks } from "../app/console.ts";
import { createConsoleBuild } from "../app/console-build.ts";
import { refuseTakenPort } from "../app/listen-error.ts";
import { openLogging } from "../app/logging.ts";
import { shutdownTimes } from "../app/shutdown.ts";
import {
  createDefaultLog,
  createNote,
  firstAdmin,
  isWatched,
  type Note,
  urlOf,
} from "../app/starting.ts";
import { stopOnSignal } from "../app/stop-on-signal.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import { version } from "../app/version.ts";
import { welcome, welcomeDocument } from "../app/welcome.ts";
import { type Config, loadConfig } from "../config/config.ts";
import { startEmbedded } from "../embedded-postgres/supervisor.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { createMetrics } from "../kernel/telemetry/metrics.ts";
import { measureProcess } from "../kernel/telemetry/process-metrics.ts";
import { createWorkersHub } from "../kernel/workers/hub.ts";
import type { CommandContext, Result } from "./command.ts";
import { createCrew } from "./crew.ts";
import { giveBackMemory } from "./heap.ts";

/**
 * Kill hung workers this long before the primary's own deadline, so that it can still exit cleanly.
 */
const beforeDeadlineMs = 300;

export async function startWorkers(
  { env, json, application, applicationFile }: CommandContext,
  overrides: Partial<Config>,
  workers: number,
): Promise<Result> {
  const parent = process.ppid;
  const config = loadConfig(env, overrides);
  await refuseTakenPort(config);

  const metrics = createMetrics();
  measureProcess(metrics, version);
  const hub = createWorkersHub({ metrics: metrics.text });
  const ownLog = json ? createTerminalLogger(config.logLevel) : undefined;
  const watched = isWatched(config, ownLog);
  const { log, file } = openLogging(config, ownLog ?? createDefaultLog(config), hub.logs);
  const note = createNote(watched, log);
  const { deadlineMs } = shutdownTimes(config);
  const crew = createCrew({ workers, applicationFile, overrides, json, hub, log });
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, log: (message) => log.warn(message), note });
  const consoleBuild = createConsoleBuild(config, log);
  const close = async (onDatabaseStop: () => void) => {
    consoleBuild.stop();
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
    prepared = await prepare(await application(), config, log, note);
    giveBackMemory();
    note(`Starting ${workers} workers …`);
    address = await crew.start();
  } catch (error) {
    await close(() => {}).catch(() => {}); // Report the first error.
    throw error;
  }
  stopOnSignal({
    close,
    deadlineMs,
    note,
    parent,
    ...(file && {
      onHangUp: () => {
        file.reopen();
        crew.notifyAll("reopenLog");
      },
    }),
  });
  const url = urlOf(config.host, address);
  const started = { version, url, config, ...prepared, seconds: performance.now() / 1000 };
  consoleBuild.start();
  warnOfLinks(config, log);
  log.info({ version, url, pid: process.pid, workers }, "Insulae listens");
  return { document: welcomeDocument(started), text: watched ? welcome(started) : "" };
}

/** One-time work before the workers start. Its modules are not needed afterwards. */
async function prepare(application: Application, config: Config, log: Logger, note: Note) {
  const { prepareNode } = await import("./prepare-node.ts");
  return prepareNode(application, config, log, note, async (ensureAdmin, startToken) => ({
    name: application.name,
    admin: await firstAdmin(config, ensureAdmin, config.env !== "production"),
    startToken: await startToken(),
  }));
}
