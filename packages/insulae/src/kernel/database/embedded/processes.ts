import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** The command line of a running process, its arguments separated by newlines or spaces. */
export function commandLine(pid: number): string | undefined {
  if (process.platform !== "linux") return ps(pid, "command=");
  const text = readProc(pid, "cmdline")?.replaceAll("\0", "\n");
  return text === "" ? undefined : text; // Empty: it has ended, and its parent has not looked yet.
}

/** Names one process for good: a later process with the same pid has another birth. */
export function birthOf(pid: number): string | undefined {
  if (process.platform !== "linux") return ps(pid, "lstart=")?.replace(/[^0-9A-Za-z]+/g, ".");
  // Field 22 (proc(5)): the start in clock ticks; the second field may hold spaces and brackets.
  return readProc(pid, "stat")?.replace(/^.*\)/s, "").trim().split(" ")[19];
}

/** Sends a signal. @returns whether that was permitted; to a process that has ended, it is. */
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

function readProc(pid: number, file: string): string | undefined {
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
