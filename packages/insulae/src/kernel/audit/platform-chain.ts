/**
 * The chain of the platform's audit log. An entry is in the log as soon as its transaction commits, and gets its
 * place in the chain (number, hash) within about a second:
 *
 *     insert ──► committed, no number yet ──► chain_audit_log(): numbers and hashes, in batches
 *
 * Giving places takes a lock that is one for the whole installation. Here it is off the path of
 * requests: whoever writes an entry doesn't wait for it, and whoever reads the log has all that is committed
 * chained first, so readers never see an entry without a place. A process that is killed loses nothing: the next
 * one chains what it left.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type QueryExecutorProvider, sql } from "kysely";
import type { Logger } from "../telemetry/log.ts";

const entriesAtOnce = 200;
const retryMs = 20;

/** Chains all entries that are committed by now; after whoever is at it, if somebody is. */
export async function chainPlatformLog(control: QueryExecutorProvider): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ chained: number | null }>`
      select control.chain_audit_log(${entriesAtOnce}::integer) as chained`.execute(control);
    const chained = rows[0]?.chained ?? undefined;
    // Waiting in the database would hold up what comes behind in the same lane.
    if (chained === undefined) await sleep(retryMs);
    else if (chained < entriesAtOnce) return;
  }
}

export interface PlatformChain {
  /** The log has got an entry, or will when a transaction commits. */
  readonly note: () => void;
  /** Chains what there is. */
  readonly close: () => Promise<void>;
}

const chainEveryMs = 500;
/** An entry of a transaction that commits late is there when we look again. */
const looksAfterEntry = 2;

/** Chains entries of this process in the background. */
export function createPlatformChain(control: QueryExecutorProvider, log: Logger): PlatformChain {
  let looks = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const run = async (): Promise<void> => {
    try {
      await chainPlatformLog(control);
    } catch (error) {
      // The entries are safe without it, and the next one to be written tries again.
      log.error({ err: error }, "The platform's audit log could not be chained");
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
