/**
 * Ends a server when it is told to. A first signal closes it in order: what is in flight ends, then
 * the embedded PostgreSQL, once its checkpoint is written. A second one ends the process at once; the
 * database is then stopped by its watchdog. In a terminal, Ctrl-C reaches npm too, and npm passes it on: what follows a signal
 * within half a second is the same one.
 *
 * A SIGTERM to npm may never get here: npm passes it on to its shell, and a shell that waits for us
 * (dash does) ends without a word. So who is started by npm, or by `insulae dev`, also ends when its parent is gone.
 */
/** The variable by which `insulae dev` tells the server whose parent it is. */
export const developedVariable = "INSULAE_DEV";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const sameSignalMs = 500;
const parentEveryMs = 200;

export interface StopOptions {
  /** @param onDatabaseStop to be called when everything but the database has ended. */
  readonly close: (onDatabaseStop: () => void) => Promise<void>;
  /** For everything but the database, which writes its checkpoint as long as that takes. */
  readonly deadlineMs: number;
  readonly note: (text: string) => void;
  /** The parent's pid when the process began: it may be gone by now. */
  readonly parent: number;
  /** What a SIGHUP is for; by default it ends the server, as when the terminal is closed. */
  readonly onHangUp?: (() => void) | undefined;
}

export function stopOnSignal({ close, deadlineMs, note, parent, onHangUp }: StopOptions): void {
  let askedAt: number | undefined;

  const stop = async () => {
    const timer = setTimeout(() => {
      note("It could not be closed in time: it ends as it is.");
      process.exit(1);
    }, deadlineMs);
    try {
      await close(() => clearTimeout(timer));
      clearTimeout(timer);
      process.exit(0);
    } catch (error) {
      note(`It could not be closed: ${error instanceof Error ? error.message : error}`);
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
