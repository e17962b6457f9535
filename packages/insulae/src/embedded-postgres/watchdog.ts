/**
 * Stops the server when we exit, even by SIGKILL. A small shell script waits on a pipe from us:
 * when it closes, the script shuts the server down, with a minute for its checkpoint. Like the
 * server it is in its own session, so Ctrl-C in a terminal reaches only us, and our orderly stop
 * comes first.
 */
import { spawn } from "node:child_process";
import { EmbeddedError } from "./failure.ts";
import type { ServerUser } from "./server-user.ts";

const script = `
read -r server || exit 0
while read -r order; do
  [ "$order" = dismissed ] && exit 0
  kill -"$order" "$server"
done
kill -INT "$server" || exit 0
waited=0
while [ "$waited" -lt 60 ]; do
  sleep 1
  kill -0 "$server" || exit 0
  waited=$((waited + 1))
done
kill -QUIT "$server"`;

export interface Watchdog {
  /** Sets the process to stop when we exit. Call this at once after starting it. */
  guard(pid: number): void;
  /** Makes it send a signal that we may not send (root without CAP_KILL). */
  send(name: NodeJS.Signals): void;
  /** Ends the watchdog without effect: the server was stopped, or never started. */
  dismiss(): void;
}

/** Starts a watchdog; do this before starting the server. */
export function startWatchdog(user: ServerUser): Watchdog {
  const child = spawn("/bin/sh", ["-c", script], {
    ...user,
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", () => {}); // Then there is no pid, which is checked below.
  child.stdin.on("error", () => {}); // It has exited already.
  if (child.pid === undefined)
    throw new EmbeddedError("Cannot run /bin/sh, which is needed to stop PostgreSQL reliably");
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return {
    guard: (pid) => void child.stdin.write(`${pid}\n`),
    send: (name) => void child.stdin.write(`${name.slice(3)}\n`),
    dismiss: () => void child.stdin.end("dismissed\ndismissed\n"),
  };
}
