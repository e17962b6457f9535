/**
 * Stops a server on signals. The first one closes it in order: requests in flight, then the
 * embedded PostgreSQL after its checkpoint. A second one exits at once; a watchdog then stops the
 * database. In a terminal, Ctrl-C also reaches npm, which forwards it, so a signal within half a
 * second counts as the same one.
 *
 * A SIGTERM to npm may never arrive here: npm forwards it to its shell, and a shell that waits for
 * us (dash does) exits without forwarding it. So a process started by npm or `insulae dev` also
 * stops when its parent is gone.
 */
/** The variable by which `insulae dev` marks the server as its child. */
export const developedVariable = "INSULAE_DEV";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const sameSignalMs = 500;
const parentEveryMs = 200;

export interface StopOptions {
  /** @param onDatabaseStop to be called when everything but the database has stopped */
  readonly close: (onDatabaseStop: () => void) => Promise<void>;
  /** For everything but the database, whose checkpoint has no limit. */
  readonly deadlineMs: number;
  readonly note: (text: string) => void;
  /** The parent's pid at the start; it may have exited by now. */
  readonly parent: number;
  /** The handler of SIGHUP; by default it stops the server, as when a terminal is closed. */
  readonly onHangUp?: (() => void) | undefined;
}

export function stopOnSignal({ close, deadlineMs, note, parent, onHangUp }: StopOptions): void {
  let askedAt: number | undefined;

  const stop = async () => {
    const timer = setTimeout(() => {
      note("Could not close in time; exiting anyway.");
      process.exit(1);
    }, deadlineMs);
    try {
      await close(() => clearTimeout(timer));
      clearTimeout(timer);
      process.exit(0);
    } catch (error) {
      note(`Could not close: ${error instanceof Error ? error.message : error}`);
      process.exit(1);
    }
  };

  const stopOnce = () => {
    if (askedAt !== undefined) return;
    askedAt = performance.now();
    note("Stopping …");
    void stop();
  };

  const { npm_lifecycle_event: script, [developedVariable]: developed } = process.env;
  if (script !== undefined || developed !== undefined) {
    setInterval(() => process.ppid !== parent && stopOnce(), parentEveryMs).unref();
  }
  if (onHangUp) process.on("SIGHUP", onHangUp);
  for (const signal of signals) {
    if (onHangUp && signal === "SIGHUP") continue;
    process.on(signal, () => {
      if (askedAt === undefined) stopOnce();
      else if (performance.now() - askedAt > sameSignalMs) process.exit(130);
    });
  }
}
