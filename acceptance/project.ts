/**
 * A project as users create it: by npm, from the tarballs of `npm run build`, outside this
 * repository.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");

/** Builds the packages. @returns their tarballs */
export function buildPackages(): { insulae: string; client: string; createInsulae: string } {
  execFileSync(process.execPath, [join(root, "scripts/build.ts")], { cwd: root, stdio: "inherit" });
  const { version } = JSON.parse(readFileSync(join(root, "packages/insulae/package.json"), "utf8"));
  const tarball = (name: string) => join(root, `build/${name}-${version}.tgz`);
  return {
    insulae: tarball("insulae"),
    client: tarball("insulae-client"),
    createInsulae: tarball("create-insulae"),
  };
}

/** A terminal's environment, without what npm, Vitest and tests have set. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      /^npm_config_(registry|cache|userconfig|.*proxy|cafile)$/i.test(name) ||
      !/^(npm_|VITEST|TEST$|NODE_ENV$|FORCE_COLOR$|DEV$|PROD$|MODE$|INSULAE_|APP_)/i.test(name),
  );
  // So that `node` is the one that runs this.
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  return { ...Object.fromEntries(kept), PATH: path, NO_COLOR: "1", ...more };
}

/** Runs a command. @returns its output. @throws Error with the output if it fails */
export const runIn =
  (folder: string) =>
  (command: string, ...args: string[]): string => {
    try {
      return execFileSync(command, args, {
        cwd: folder,
        encoding: "utf8",
        env: cleanEnvironment(),
        stdio: "pipe",
      });
    } catch (error) {
      const { stdout, stderr } = Object(error);
      throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`);
    }
  };

export interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

interface Start {
  readonly cwd: string;
  readonly command: readonly string[];
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
  /** The user to run as, if the current one is root. */
  readonly user?: number | undefined;
}

/** Starts a server in a process group of its own, and waits until it is ready. */
export async function startProject({ cwd, command, port, env, user }: Start): Promise<Running> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    cwd,
    env: cleanEnvironment({ PORT: String(port), APP_WS_PORT: "0", ...env }),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...(user !== undefined && { uid: user, gid: user }),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const url = `http://localhost:${port}`;
  const ready = () => `${command.join(" ")} is ready:\n${output}`;
  const isReadyOrOver = async () => (await isReady(url)) || child.exitCode !== null;
  try {
    await until(ready, isReadyOrOver);
    if (child.exitCode !== null) throw new Error(`It has ended before ${ready()}`);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return { url, stop: () => stop(child) };
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid, "SIGTERM");
  await ended;
}
