/**
 * The doctor of a running server: one run of the checks at a time, whoever asks. A run takes seconds where
 * there are thousands of placements, so nobody waits for it for long: they get what the last one found.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { withDeadline } from "../kernel/lib/deadline.ts";
import type { Diagnosis } from "../kernel/model/diagnosis.ts";
import { type Check, look } from "./check.ts";
import { checkInstallation } from "./installation.ts";
import type { Examined } from "./placement-states.ts";

/** @returns the last diagnosis, if any, and whether a newer one is being made */
export type Examine = (wanted: {
  /** Makes a new one, unless the last is only a few seconds old. */
  readonly again: boolean;
}) => Promise<{ readonly last: Diagnosis | undefined; readonly isRunning: boolean }>;

const waitMs = 3_000;
const freshMs = 2_000;
const mostMs = 300_000;

export const createExamine = (installation: Examined): Examine =>
  examineBy(() =>
    look("doctor", "see the server's log, and run insulae doctor on its machine", () =>
      withDeadline(mostMs, () => checkInstallation(installation)),
    ),
  );

/** @param check never fails */
export function examineBy(check: () => Promise<readonly Check[]>): Examine {
  let last: Diagnosis | undefined;
  let running: Promise<void> | undefined;
  const run = async () => {
    const startedAt = new Date();
    const checks = await check();
    last = { checks, startedAt, tookMs: Date.now() - startedAt.getTime() };
    running = undefined;
  };
  const isFresh = () =>
    last !== undefined && Date.now() - last.startedAt.getTime() - last.tookMs < freshMs;
  return async ({ again }) => {
    if (last === undefined || (again && !isFresh())) running ??= run();
    if (running) {
      const given = new AbortController();
      await Promise.race([running, sleep(waitMs, undefined, { signal: given.signal })]);
      given.abort();
    }
    return { last, isRunning: running !== undefined };
  };
}
