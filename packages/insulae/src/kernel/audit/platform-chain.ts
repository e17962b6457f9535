/**
 * The hash chain of the platform's audit log. An entry is in the log once its transaction commits,
 * and gets its place in the chain (number, hash) within about a second:
 *
 *     insert ──► committed, no number yet ──► chain_audit_log(): numbers and hashes, in batches
 *
 * Chaining takes an installation-wide lock, so it is kept off the path of requests: writers don't
 * wait for it. Readers first have everything committed chained, so they never see an entry without
 * a place. If a process is killed, the next one chains what it left.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type QueryExecutorProvider, sql } from "kysely";
import type { Logger } from "../telemetry/log.ts";

const entriesAtOnce = 200;
const retryMs = 20;

/** Chains all entries committed by now; waits if another process is chaining. */
export async function chainPlatformLog(control: QueryExecutorProvider): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ chained: number | null }>`
      select control.chain_audit_log(${entriesAtOnce}::integer) as chained`.execute(control);
    const chained = rows[0]?.chained ?? undefined;
    // Waiting in the database would block the statements behind it in the same lane.
    if (chained === undefined) await sleep(retryMs);
    else if (chained < entriesAtOnce) return;
  }
}

export interface PlatformChain {
  /** Call after writing an entry, or before its transaction commits. */
  readonly note: () => void;
  /** Chains what is left. */
  readonly close: () => Promise<void>;
}

const chainEveryMs = 500;
/** The second look finds entries of transactions that committed late. */
const looksAfterEntry = 2;

/** Chains this process's entries in the background. */
export function createPlatformChain(control: QueryExecutorProvider, log: Logger): PlatformChain {
  let looks = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const run = async (): Promise<void> => {
    try {
      await chainPlatformLog(control);
    } catch (error) {
      // The entries are safe, and the next entry triggers another attempt.
      log.error({ err: error }, "Could not chain the platform's audit log");
    }
  };
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      looks -= 1;
      running = run().then(() => {
        timer = undefined;
        if (looks > 0) schedule();
      });
    }, chainEveryMs).unref();
  };
  return {
    note() {
      looks = looksAfterEntry;
      schedule();
    },
    async close() {
      clearTimeout(timer);
      await running;
      clearTimeout(timer);
      if (looks > 0) await run();
    },
  };
}
