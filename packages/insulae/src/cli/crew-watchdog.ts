/**
 * Kills the workers if the primary dies, even by SIGKILL. A worker with a responsive event loop
 * exits when its channel closes; one that is blocked or stopped (SIGSTOP) does not. A small shell
 * script therefore reads a pipe from the primary. When the pipe closes, it kills the remaining
 * workers.
 */
import { spawn } from "node:child_process";
import { CommandError } from "../doctor/failure.ts";

/**
 * The last line read has the pids of the live workers. Supervisors may signal the script too, so it
 * ignores SIGTERM.
 */
const script = `
trap '' HUP INT TERM
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids`;

export interface CrewWatchdog {
  /** Sets the processes to kill. Call it whenever one has started or exited. */
  guard(pids: readonly number[]): void;
}

/** @throws CommandError if there is no /bin/sh */
export function startCrewWatchdog(): CrewWatchdog {
  const child = spawn("/bin/sh", ["-c", script], {
    cwd: "/",
    env: {},
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", () => {}); // Then there is no pid, which is checked below.
  child.stdin.on("error", () => {}); // The script has exited already.
  if (child.pid === undefined) {
    throw new CommandError("no_shell", "Cannot run /bin/sh, which --workers needs.");
  }
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return { guard: (pids) => void child.stdin.write(`${pids.join(" ")}\n`) };
}
