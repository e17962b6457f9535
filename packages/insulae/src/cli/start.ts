import { flushCompileCache } from "node:module";
import { createApp } from "../app/app.ts";
import { refuseTakenPort } from "../app/listen-error.ts";
import { firstAdmin, urlOf } from "../app/starting.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import { version } from "../app/version.ts";
import { welcomeDocument } from "../app/welcome.ts";
import { loadConfig } from "../config/config.ts";
import type { CommandContext, Result } from "./command.ts";
import { giveBackMemory } from "./heap.ts";
import { startWorker, type WorkerRole, workerVariable } from "./start-worker.ts";
import { type Workers, workersOf } from "./workers-of.ts";

/** Starts the server. Returns once it listens; the process runs until it gets a signal. */
export async function start(
  context: CommandContext,
  { port, workers = 1 }: { readonly port?: number; readonly workers?: Workers },
): Promise<Result> {
  const { env, json } = context;
  const role = env[workerVariable];
  // Set by the primary.
  if (role !== undefined) return startWorker(context, JSON.parse(role) as WorkerRole);
  const overrides = port === undefined ? {} : { port };
  const config = loadConfig(env, overrides);
  const count = workersOf(config, workers);
  if (count > 1) {
    return (await import("./start-workers.ts")).startWorkers(context, overrides, count);
  }
  // Check before starting the database, which takes a while the first time.
  await refuseTakenPort(config);

  // stdout is reserved for the document, which contains the banner's information.
  const log = json ? { log: createTerminalLogger(config.logLevel) } : {};
  const application = await context.application();
  const app = await createApp({ ...application, env, config: overrides, ...log });
  try {
    const makeUp = config.env !== "production";
    const admin = json ? await firstAdmin(config, app.ensureAdmin, makeUp) : undefined;
    giveBackMemory();
    const url = urlOf(config.host, await app.run());
    setImmediate(flushCompileCache);
    return { document: welcomeDocument({ version, url, config, admin }), text: "" };
  } catch (error) {
    await app.close();
    throw error;
  }
}
