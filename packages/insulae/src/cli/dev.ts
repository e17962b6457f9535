/**
 * `insulae dev`: the server in a process of its own, which is replaced whenever a file of the project changes.
 * This process keeps the embedded PostgreSQL, so that a reload takes as long as loading the code.
 *
 *     start ──► serves ──(a file changes)──► stops ──► start
 *                 └─────(it fails)──► waits for a change ──► start
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { loadConfig } from "../config.ts";
import { startEmbedded } from "../kernel/database/embedded/supervisor.ts";
import { printable } from "../kernel/text.ts";
import { shutdownTimes } from "../shutdown.ts";
import { developedVariable, stopOnSignal } from "../stop-on-signal.ts";
import type { CommandContext, Result } from "./command.ts";
import { parseEnvironmentFile } from "./environment-file.ts";
import { CommandError, exitCodes } from "./failure.ts";

/** Editors write a file in several steps, and tools many files. */
const settleMs = 100;
const relevant = /(^|[\\/])\.env$|\.(c|m)?[jt]sx?$|\.(json|sql|html|liquid)$/;
const ignoredFolders = new Set(["node_modules", "dist", "build", "coverage"]);

/** Starts the server, and again after each change. It returns when the first start has begun. */
export async function dev(
  { env, note, applicationFile }: CommandContext,
  { port }: { readonly port?: number },
): Promise<Result> {
  const parent = process.ppid;
  const config = loadConfig(env, port === undefined ? {} : { port });
  if (config.env === "production") {
    const message =
      "APP_ENV is production: `insulae start` serves there, `insulae dev` is for development.";
    throw new CommandError("production_guard", message, exitCodes.refused);
  }
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, log: note, note });
  const folder = applicationFile === undefined ? process.cwd() : dirname(applicationFile);
  const environment = { ...environmentOfShell(), [developedVariable]: "1" };
  const server = createRestarting(serverCommand(applicationFile, port), environment, note);
  const watcher = watchProject(folder, resolve(config.dataDir), server.restart);
  server.restart();
  stopOnSignal({
    async close(onDatabaseStop) {
      watcher.close();
      await server.stop();
      onDatabaseStop();
      await embedded?.stop();
    },
    deadlineMs: shutdownTimes(config).deadlineMs + 1_000,
    note: () => {}, // The server says so.
    parent,
  });
  return { document: { watches: folder }, text: "" };
}

const serverCommand = (applicationFile: string | undefined, port: number | undefined) => [
  ...process.execArgv,
  process.argv[1] ?? "",
  "start",
  ...(port === undefined ? [] : ["--port", String(port)]),
  ...(applicationFile === undefined ? [] : ["--app", applicationFile]),
];

interface Restarting {
  /** @param file which has changed; undefined: the first start. */
  restart(file?: string): void;
  stop(): Promise<void>;
}

/** A process, of which there is one at a time. */
function createRestarting(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  note: (text: string) => void,
): Restarting {
  let child: ChildProcess | undefined;
  let isStopping = false;
  let isWanted = false;
  let turn: Promise<void> | undefined;

  const start = () => {
    const started = spawn(process.execPath, command, { stdio: "inherit", env });
    child = started;
    started.once("exit", () => {
      if (child !== started) return;
      child = undefined;
      if (!isStopping) note("The server has ended. It starts again when a file changes.");
    });
  };
  const end = async () => {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    ending.kill("SIGTERM");
    await once(ending, "exit");
  };
  const replace = async () => {
    while (isWanted && !isStopping) {
      isWanted = false;
      await end();
      if (!isStopping) start();
    }
    turn = undefined;
  };

  return {
    restart(file) {
      if (file !== undefined) note(`${printable(file)} has changed: starting again …`);
      isWanted = true;
      turn ??= replace();
    },
    async stop() {
      isStopping = true;
      await turn;
      await end();
    },
  };
}

/** Without what came from `.env`, which the server reads itself, as it is by then. */
function environmentOfShell(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (!existsSync(".env")) return env;
  const { values } = parseEnvironmentFile(readFileSync(".env"));
  for (const [name, value] of Object.entries(values)) if (env[name] === value) delete env[name];
  return env;
}

function watchProject(folder: string, dataDir: string, changed: (file: string) => void): FSWatcher {
  let timer: NodeJS.Timeout | undefined;
  return watch(folder, { recursive: true }, (_event, file) => {
    if (file === null || !isOfProject(folder, dataDir, file)) return;
    clearTimeout(timer);
    timer = setTimeout(changed, settleMs, file);
  });
}

function isOfProject(folder: string, dataDir: string, file: string): boolean {
  if (!relevant.test(file)) return false;
  if (!relative(dataDir, resolve(folder, file)).startsWith("..")) return false;
  const folders = file.split(sep).slice(0, -1);
  return !folders.some((name) => name.startsWith(".") || ignoredFolders.has(name));
}
