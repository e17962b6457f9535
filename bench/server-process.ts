import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../packages/insulae/src/testing/free-port.ts";

export interface ServerProcess {
  readonly pid: number;
  readonly baseUrl: string;
  /** From the start of the process to its first answer. */
  readonly startMs: number;
  /** Resident memory, in bytes; undefined where the system does not tell. */
  memory(): number | undefined;
  /** Time on a processor since the start, in milliseconds; undefined where the system does not tell. */
  processorMs(): number | undefined;
  stop(): Promise<void>;
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The port comes as PORT. */
  readonly env: Readonly<Record<string, string>>;
  /** Answers with any status once the server is ready; with 200 if `healthy` is asked for. */
  readonly probe: string;
  readonly healthy?: boolean;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/**
 * Starts a server in a process group of its own, and waits until it answers.
 *
 * @throws Error with the end of its output if it ends, or does not answer in time.
 */
export async function startServer(server: ServerCommand): Promise<ServerProcess> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const began = performance.now();
  const child = spawn(server.command, server.args, {
    cwd: server.cwd,
    env: { ...inherited(), ...server.env, PORT: String(port), APP_WS_PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const output = collectOutput(child);
  const pid = child.pid ?? 0;
  const abandon = () => signalGroup(pid, "SIGKILL");
  process.on("exit", abandon);
  const stop = () => stopGroup(child).finally(() => process.off("exit", abandon));
  try {
    await untilAnswer(server, baseUrl, child);
  } catch (error) {
    await stop();
    throw new Error(`${server.command} ${server.args.join(" ")}: ${error}\n${output()}`);
  }
  const startMs = performance.now() - began;
  return {
    pid,
    baseUrl,
    startMs,
    memory: () => residentBytes(pid),
    processorMs: () => processorMs(pid),
    stop,
  };
}

/** Nothing of the caller's own configuration is to reach a server that is measured. */
const inherited = () => ({ PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "" });

function collectOutput(child: ChildProcess): () => string {
  let text = "";
  const collect = (chunk: Buffer) => {
    text = (text + chunk).slice(-4000);
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  return () => text;
}

async function untilAnswer(server: ServerCommand, baseUrl: string, child: ChildProcess) {
  const deadline = performance.now() + (server.timeoutMs ?? 20_000);
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const answer = await fetch(baseUrl + server.probe).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer && (!server.healthy || answer.status === 200)) return;
    await sleep(10);
  }
  throw new Error("no answer in time");
}

/**
 * Ends the group, and waits for the last of it: `npm` ends before the server that it started. After
 * ten seconds they are killed; what can't even be killed is left after one more.
 */
async function stopGroup(child: ChildProcess): Promise<void> {
  const pid = child.pid ?? 0;
  const began = performance.now();
  let running = signalGroup(pid, "SIGTERM");
  while (running && performance.now() - began < 11_000) {
    await sleep(5);
    running = signalGroup(pid, performance.now() - began < 10_000 ? 0 : "SIGKILL");
  }
}

/** @returns whether there was anybody to send it to. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (pid === 0) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

function residentBytes(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** Linux counts in ticks of ten milliseconds, after the command's name in brackets. */
function processorMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}
