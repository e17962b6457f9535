/**
 * A Vitest reporter, after the default one: lists test files that take longer than ten seconds, and
 * the seed of a failed run. With INSULAE_TEST_TIMES=required, as in CI, a file that takes over a
 * minute, and over twenty times the run's mean, fails it, unless its reason is below. It measures a
 * file's own tests and hooks. The mean, because on a busy machine all files take ten times as long.
 */
import { basename } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

const shownMs = 10_000;
const longestMs = 60_000;
const timesTheMean = 20;

/** Files that may take longer, by base name, and why. */
export const reasons: Readonly<Record<string, string>> = {};

export interface FileTime {
  readonly file: string;
  readonly ms: number;
}

/** The printed lines, slowest file first, and the files that are too slow. */
export function timesOf(
  files: readonly FileTime[],
  mayTakeLonger: Readonly<Record<string, string>> = reasons,
): { lines: string[]; tooSlow: string[] } {
  const slow = files.filter(({ ms }) => ms > shownMs).toSorted((a, b) => b.ms - a.ms);
  const mean = files.reduce((sum, { ms }) => sum + ms, 0) / files.length;
  const longest = Math.max(longestMs, timesTheMean * mean);
  const reasonOf = (file: string): string | undefined => mayTakeLonger[basename(file)];
  return {
    lines: slow.map(({ file, ms }) => {
      const reason = reasonOf(file);
      return `${(ms / 1_000).toFixed(1).padStart(6)} s  ${file}${reason ? `: ${reason}` : ""}`;
    }),
    tooSlow: slow.filter(({ file, ms }) => ms > longest && !reasonOf(file)).map(({ file }) => file),
  };
}

/** Vitest calls it with `new`. */
export default class TestTimes implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const files = modules.map((module) => ({
      file: module.relativeModuleId,
      ms: module.diagnostic().duration,
    }));
    const { lines, tooSlow } = timesOf(files);
    if (lines.length > 0) console.log(`\nLonger than ${shownMs / 1_000} s:\n${lines.join("\n")}`);
    if (errors.length > 0 || modules.some((module) => !module.ok())) {
      const { INSULAE_TEST_SEED: seed } = modules[0]?.project.config.env ?? {};
      if (seed) console.log(`\nRepeat the random values with INSULAE_TEST_SEED=${seed}`);
    }
    if (process.env.INSULAE_TEST_TIMES !== "required" || tooSlow.length === 0) return;
    console.error(`\nToo slow, without a reason in scripts/test-times.ts: ${tooSlow.join(", ")}`);
    process.exitCode = 1;
  }
}
