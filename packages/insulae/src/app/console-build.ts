/**
 * In a checkout, builds the console in the background if it was never built, or if its sources have changed since. The
 * server does not wait for it: `/console` says so meanwhile. An installed package is built already.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Config } from "../config/config.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import { findConsole } from "./console.ts";

export interface ConsoleBuild {
  /** Begins, unless the build is up to date or another server builds it already. */
  start(): void;
  /** Ends it, if it still runs. */
  stop(): void;
}

/** @param sources where they are; default: the installed package's, if it is a checkout's */
export function createConsoleBuild(
  { console: mode, env }: Pick<Config, "console" | "env">,
  log: Pick<Logger, "error">,
  sources = findConsole(env)?.sources,
): ConsoleBuild {
  let child: ChildProcess | undefined;
  let lock: string | undefined;
  let stopped = false;
  const unlock = () => {
    if (lock !== undefined) rmSync(lock, { force: true });
    lock = undefined;
  };
  const start = async (root: string) => {
    if ((await isUpToDate(root)) || stopped) return;
    lock = takeLock(root);
    if (lock === undefined) return;
    child = build(root);
    let output = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-2_000);
    });
    child.once("close", (code) => {
      unlock();
      child = undefined;
      if (code !== 0 && !stopped) log.error({ output }, "The console could not be built");
    });
    child.once("error", (error) => log.error({ err: error }, "The console could not be built"));
  };
  return {
    start() {
      if (sources === undefined || mode === "off" || env !== "development") return;
      start(sources).catch((error: unknown) =>
        log.error({ err: error }, "The console could not be built"),
      );
    },
    stop() {
      stopped = true;
      child?.kill();
      unlock();
    },
  };
}

function build(root: string): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(process.execPath, [join(root, "build/build.ts")], {
    cwd: root,
    // Not the server's settings, which have its secrets.
    env: { PATH, HOME, TMPDIR },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  child.unref();
  return child;
}

async function isUpToDate(root: string): Promise<boolean> {
  const { sourceHash } = await import(pathToFileURL(join(root, "build/source-hash.ts")).href);
  try {
    const manifest = readFileSync(join(root, "dist/manifest.json"), "utf8");
    return JSON.parse(manifest).source === sourceHash(root);
  } catch {
    return false;
  }
}

/** A server that was killed leaves its lock. No build takes that long. */
const lockMs = 120_000;

/** Two builds at once would delete each other's files. @returns the lock's path; undefined if it is taken */
function takeLock(root: string): string | undefined {
  const name = createHash("sha256").update(root).digest("hex").slice(0, 16);
  const lock = join(tmpdir(), `insulae-console-${name}.lock`);
  const taken = statSync(lock, { throwIfNoEntry: false });
  if (taken && Date.now() - taken.mtimeMs < lockMs) return undefined;
  rmSync(lock, { force: true });
  try {
    writeFileSync(lock, "", { flag: "wx" });
    return lock;
  } catch {
    return undefined; // another server was first
  }
}
