import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A running process's command line, with arguments separated by newlines or spaces. */
export function commandLine(pid: number): string | undefined {
  if (process.platform !== "linux") return ps(pid, "command=");
  const text = readProc(pid, "cmdline")?.replaceAll("\0", "\n");
  return text === "" ? undefined : text; // empty: a zombie
}

/** Identifies a process uniquely: a later one with the same pid has another start time. */
export function birthOf(pid: number): string | undefined {
  if (process.platform !== "linux") return ps(pid, "lstart=")?.replace(/[^0-9A-Za-z]+/g, ".");
  // Field 22 (proc(5)): the start time in clock ticks.
  return statOf(pid)?.[19];
}

/**
 * A text that changes whenever the process or a child computes, reads or writes. Waiting for the
 * disk (state D) counts as working.
 */
export function workOf(pid: number): string {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-A", "-o", "ppid=,pid=,time="]);
    const lines = stdout.toString("utf8").split("\n");
    return lines.filter((line) => line.trim().split(/\s+/).includes(String(pid))).join();
  }
  const family = readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && (name === String(pid) || statOf(name)?.[1] === String(pid)),
  );
  return family.map((name) => `${name} ${linuxWork(statOf(name) ?? [])}`).join();
}

/** proc(5): fields 14 and 15 are processor time, 42 is time waiting for a disk, in ticks. */
function linuxWork(stat: readonly string[]): string {
  if (stat[0] === "D") return String(performance.now());
  return `${stat[11]} ${stat[12]} ${stat[39]}`;
}

/**
 * The fields of `/proc/<pid>/stat` from the third on: the second may contain spaces and brackets.
 */
const statOf = (pid: number | string): string[] | undefined =>
  readProc(pid, "stat")?.replace(/^.*\)/s, "").trim().split(" ");

/** Sends a signal. @returns whether that was permitted; also true for a process that has exited */
export function send(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ESRCH") return true;
    if (code === "EPERM") return false;
    throw error;
  }
}

function readProc(pid: number | string, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

function ps(pid: number, column: string): string | undefined {
  const { status, stdout } = spawnSync("ps", ["-ww", "-o", column, "-p", String(pid)]);
  return status === 0 ? stdout.toString("utf8").trim() : undefined;
}
