/** A server started as users do, in a folder of its own, and used only over HTTP. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

export interface StartedServer {
  readonly url: string;
  readonly dataDir: string;
  readonly child: ChildProcess;
  /** Its output so far. */
  readonly output: () => string;
  /** Milliseconds from the start to the first response. */
  readonly startedInMs: number;
  /** Stops it as an operator would, and waits for its exit. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; ms: number }>;
}

export interface StartOptions {
  readonly dataDir: string;
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Start an example instead. */
  readonly example?: string;
}

export const adminEmail = "admin@example.com";
export const adminPassword = "an-Unusual-passphrase-1";

/** A port that is currently free. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "insulae-acceptance-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Runs `npm start` for the server or an example, and waits for its first response. */
export async function startServer(options: StartOptions): Promise<StartedServer> {
  const port = options.port ?? (await freePort());
  const began = performance.now();
  const { example } = options;
  const workspace = example ? ["-w", `@insulae-examples/${example}`] : [];
  const child = spawn("npm", ["start", "--silent", ...workspace], {
    env: {
      ...process.env,
      NODE_ENV: "",
      APP_ENV: "development",
      PORT: String(port),
      APP_WS_PORT: "0",
      DATA_DIR: options.dataDir,
      ADMIN_EMAIL: adminEmail,
      ADMIN_PASSWORD: adminPassword,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, as in a terminal: Ctrl-C and kill -9 reach npm and the server
    // alike.
    detached: true,
  });
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  };
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const url = `http://localhost:${port}`;
  try {
    await until(
      () => `the server has started:\n${output}`,
      async () => {
        if (child.exitCode !== null) throw new Error(`the server did not start:\n${output}`);
        // The last line of output says how to stop it.
        return (await answers(url)) && output.includes("Ctrl-C");
      },
      30_000,
    );
  } catch (error) {
    if (child.exitCode === null) signalGroup("SIGKILL");
    throw error;
  }
  return {
    url,
    dataDir: options.dataDir,
    child,
    output: () => output,
    startedInMs: performance.now() - began,
    async stop(signal = "SIGTERM") {
      const asked = performance.now();
      const ended = new Promise<number | null>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
        child.once("exit", (code) => resolve(code));
      });
      signalGroup(signal);
      return { code: await ended, ms: performance.now() - asked };
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}
