import { bestName, limitName, usualName } from "../contenders.ts";
import { count, percent, times } from "../format.ts";
import type { LoadResult, Operation } from "../load.ts";
import type { Verdict } from "../scenario.ts";
import { median } from "../statistics.ts";

/** What was measured of one contender, by operation: a result for each round. */
export interface Measured {
  readonly name: string;
  readonly missing?: string;
  readonly results: ReadonlyMap<Operation, readonly LoadResult[]>;
}

const perSecond = (measured: Measured | undefined, operation: Operation): number =>
  median((measured?.results.get(operation) ?? []).map((r) => (r.requests - r.failed) / r.seconds));

const named = (measured: readonly Measured[], name: string) =>
  measured.find((one) => one.name === name);

/** The cells of a contender: requests per second, and how that compares. */
export function throughputRow(
  measured: readonly Measured[],
  one: Measured,
  wanted: readonly Operation[],
): string[] {
  return wanted.map((operation) => {
    if (one.missing !== undefined) return one.missing;
    const found = perSecond(one, operation);
    const share = found / perSecond(named(measured, limitName), operation);
    const multiple = found / perSecond(named(measured, usualName), operation);
    const comparisons = [
      Number.isFinite(share) ? percent(share) : undefined,
      Number.isFinite(multiple) ? times(multiple) : undefined,
    ].filter((text) => text !== undefined);
    return `${count(found)} (${comparisons.join(", ")})`;
  });
}

export function latencyOf(one: Measured, operation: Operation): string {
  const results = one.results.get(operation) ?? [];
  const p50 = median(results.flatMap(({ p50Ms }) => p50Ms ?? []));
  const p99 = median(results.flatMap(({ p99Ms }) => p99Ms ?? []));
  return Number.isNaN(p50) ? "–" : `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`;
}

/** The promises about speed, for the tenants of the pool. */
export function verdicts(measured: readonly Measured[], wanted: readonly Operation[]): Verdict[] {
  const [insulae] = measured;
  const compare = (
    operations: readonly Operation[],
    against: string,
    target: number,
    format: (ratio: number) => string,
    what: string,
  ) =>
    operations
      .filter((operation) => wanted.includes(operation))
      .map((operation) => ({
        promise: `${operation}: ${what}`,
        target: `≥ ${format(target)}`,
        ratio: perSecond(insulae, operation) / perSecond(named(measured, against), operation),
        format,
        least: target,
      }))
      .filter(({ ratio }) => Number.isFinite(ratio))
      .map(({ promise, target: text, ratio, least }) => ({
        promise,
        target: text,
        found: format(ratio),
        met: ratio >= least,
      }));
  return [
    ...compare(["list", "one"], limitName, 0.7, percent, "share of pipelined pgbench"),
    ...compare(["insert"], limitName, 0.6, percent, "share of pipelined pgbench"),
    ...compare(["list", "one"], usualName, 5, times, "against Express with a transaction"),
    ...compare(["list", "one"], bestName, 2.5, times, "against Hono on Bun"),
  ];
}
