/**
 * `insulae dev`: runs the server in a child process and replaces it whenever a file of the project
 * changes. This process keeps the embedded PostgreSQL running, so a restart takes only as long as
 * loading the code.
 *
 *     start ──► serves ──(a file changes)──► stops ──► start
 *                 └─────(it fails)──► waits for a change ──► start
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import { shutdownTimes } from "../app/shutdown.ts";
import { developedVariable, stopOnSignal } from "../app/stop-on-signal.ts";
import { loadConfig } from "../config/config.ts";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import { startEmbedded } from "../embedded-postgres/supervisor.ts";
import { printable } from "../kernel/lib/text.ts";
import type { CommandContext, Result } from "./command.ts";
import { parseEnvironmentFile } from "./environment-file.ts";

/** Debounce: editors write a file in several steps, and tools write many files. */
const settleMs = 100;
const relevant = /(^|[\\/])\.env$|\.(c|m)?[jt]sx?$|\.(json|sql|html|liquid)$/;
/** Ignored in the project's root. */
const builtFolders = new Set(["dist", "build", "coverage"]);
/** Ignored in the data folder. */
const dataFolders = new Set(["postgres", "files"]);
/** A server that has not exited by then, because its event loop is blocked, is killed. */
const killAfterMs = 5_000;

/** Starts the server and restarts it after each change. Returns once the first start has begun. */
export async function dev(
  { env, note, applicationFile }: CommandContext,
  { port }: { readonly port?: number },
): Promise<Result> {
  const parent = process.ppid;
  const config = loadConfig(env, port === undefined ? {} : { port });
  if (config.env === "production") {
    const message =
      "APP_ENV is production. `insulae dev` is for development only; use `insulae start`.";
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
      await watcher.close();
      await server.stop();
      onDatabaseStop();
      await embedded?.stop();
    },
    deadlineMs: shutdownTimes(config).deadlineMs + killAfterMs,
    note: () => {}, // The server prints this itself.
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
  /** @param file the changed file; undefined for the first start */
  restart(file?: string): void;
  stop(): Promise<void>;
}

/** A child process that is replaced on restart; only one runs at a time. */
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
      if (!isStopping) note("The server exited. It will start again when a file changes.");
    });
  };
  const end = async () => {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    ending.kill("SIGTERM");
    const timer = setTimeout(() => {
      note("The server does not stop; killing it.");
      ending.kill("SIGKILL");
    }, killAfterMs);
    await once(ending, "exit");
    clearTimeout(timer);
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
      if (file !== undefined) note(`${printable(file)} changed; restarting …`);
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

/** Without the variables from `.env`: the server reads the file itself, in its current state. */
function environmentOfShell(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (!existsSync(".env")) return env;
  const { values } = parseEnvironmentFile(readFileSync(".env"));
  for (const [name, value] of Object.entries(values)) if (env[name] === value) delete env[name];
  return env;
}

/** Also notices replaced files: many editors write a new file and rename it. */
function watchProject(folder: string, dataDir: string, changed: (file: string) => void): FSWatcher {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch([folder, resolve(".env")], {
    ignoreInitial: true,
    ignored: (path, stats) =>
      stats?.isFile() === true ? !relevant.test(path) : isIgnored(folder, dataDir, path),
  });
  return watcher.on("all", (_event, path) => {
    if (!relevant.test(path)) return;
    clearTimeout(timer);
    timer = setTimeout(() => changed(relative(folder, path)), settleMs);
  });
}

/** Whether a folder has no code of the project. The data folder may be the project's own. */
function isIgnored(folder: string, dataDir: string, path: string): boolean {
  const inside = relative(folder, path);
  if (inside === "" || relevant.test(path)) return false;
  if (path === dataDir || (dirname(path) === dataDir && dataFolders.has(basename(path))))
    return true;
  const name = basename(path);
  return name.startsWith(".") || name === "node_modules" || builtFolders.has(inside);
}
