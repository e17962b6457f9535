import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../packages/insulae/src/testing/free-port.ts";

export interface ServerProcess {
  readonly pid: number;
  readonly baseUrl: string;
  /** From the start of the process to its first response. */
  readonly startMs: number;
  /** Resident memory in bytes; undefined if the system does not report it. */
  memory(): number | undefined;
  /** Processor time since the start in milliseconds; undefined if the system does not report it. */
  processorMs(): number | undefined;
  stop(): Promise<void>;
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** PORT is added. */
  readonly env: Readonly<Record<string, string>>;
  /** A path that responds with any status once the server is ready; with `healthy`, with 200. */
  readonly probe: string;
  readonly healthy?: boolean;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/**
 * Starts a server in its own process group, and waits until it responds.
 *
 * @throws Error with the end of its output if it exits, or does not respond in time
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

/** Keeps the caller's configuration away from measured servers. */
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
    if (child.exitCode !== null) throw new Error(`the server exited with ${child.exitCode}`);
    const answer = await fetch(baseUrl + server.probe).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer && (!server.healthy || answer.status === 200)) return;
    await sleep(10);
  }
  throw new Error("no response in time");
}

/**
 * Stops the group and waits for its last process: `npm` exits before the server it started. After
 * ten seconds they are killed; what can't be killed is abandoned after one more.
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

/** @returns whether a process received it */
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
