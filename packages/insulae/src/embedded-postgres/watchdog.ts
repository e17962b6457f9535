/**
 * The server must not outlive us, even if we are killed with -9 and can do nothing more. So a small
 * shell script waits on a pipe whose other end is ours: when we are gone, the pipe closes, and it
 * shuts the server down, with a minute for its checkpoint. Like the server it is in a session of its
 * own: Ctrl-C in a terminal reaches us alone, and our orderly stop comes first.
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
  /** Tells which process ends with us. To be called at once when it has been started. */
  guard(pid: number): void;
  /** Has it send a signal, which we may not (root without CAP_KILL). */
  send(name: NodeJS.Signals): void;
  /** Ends it without harm: the server has been stopped, or never started. */
  dismiss(): void;
}

/** Starts a watchdog, which has to be there before the server is. */
export function startWatchdog(user: ServerUser): Watchdog {
  const child = spawn("/bin/sh", ["-c", script], {
    ...user,
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", () => {}); // Without a pid, which is looked at below.
  child.stdin.on("error", () => {}); // It has ended already: nothing to tell it.
  if (child.pid === undefined) throw new EmbeddedError("Cannot run /bin/sh, which watches over us");
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return {
    guard: (pid) => void child.stdin.write(`${pid}\n`),
    send: (name) => void child.stdin.write(`${name.slice(3)}\n`),
    dismiss: () => void child.stdin.end("dismissed\ndismissed\n"),
  };
}
