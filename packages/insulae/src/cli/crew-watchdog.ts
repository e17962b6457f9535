/**
 * Workers must not outlive the primary, even if it is killed with -9. A worker whose event loop turns ends when its
 * channel closes; one that is blocked or stopped (SIGSTOP) does not. So a small shell script waits on a pipe from
 * the primary. When the primary is gone, the pipe closes, and the script kills the workers that are left.
 */
import { spawn } from "node:child_process";
import { CommandError } from "./failure.ts";

/** The last line has the pids of the workers that live. A supervisor may send its SIGTERM to the script too. */
const script = `
trap '' HUP INT TERM
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids`;

export interface CrewWatchdog {
  /** Says which processes end with us. To be called whenever one has started or ended. */
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
  child.on("error", () => {}); // Without a pid, which is looked at below.
  child.stdin.on("error", () => {}); // It has ended already: nothing to tell it.
  if (child.pid === undefined) {
    throw new CommandError("no_shell", "Cannot run /bin/sh, which --workers needs.");
  }
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return { guard: (pids) => void child.stdin.write(`${pids.join(" ")}\n`) };
}
