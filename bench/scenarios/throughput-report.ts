import {
  bareNames,
  bestName,
  insulaeName,
  limitName,
  quietName,
  usualName,
} from "../contenders.ts";
import { count, percent, times } from "../format.ts";
import { type LoadResult, type Operation, operations } from "../load.ts";
import type { Verdict } from "../scenario.ts";
import { median } from "../statistics.ts";

/** A contender's results by operation, one per round. */
export interface Measured {
  readonly name: string;
  readonly missing?: string;
  readonly results: ReadonlyMap<Operation, readonly LoadResult[]>;
}

const perSecond = (measured: Measured | undefined, operation: Operation): number =>
  median((measured?.results.get(operation) ?? []).map((r) => (r.requests - r.failed) / r.seconds));

const named = (measured: readonly Measured[], name: string) =>
  measured.find((one) => one.name === name);

/** A contender's cells: requests per second, and the comparison. */
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

interface SpeedPromise {
  readonly operations: readonly Operation[];
  readonly what: string;
  readonly of?: string;
  /** Of several, the fastest. */
  readonly against: readonly string[];
  readonly least: number;
  readonly format?: (ratio: number) => string;
}

const ofBare = { what: "share of the better bare server", of: quietName, against: bareNames };
const ofLimit = { what: "share of pipelined pgbench", against: [limitName] };
const atInfo = { what: "at `info`, as a share of that at `warn`", against: [quietName] };
const againstExpress = { what: "against Express with a transaction", against: [usualName] };
const againstHono = { what: "against Hono on Bun", against: [bestName] };

/** About the pool's tenants. */
const promises: readonly SpeedPromise[] = [
  { operations: ["list"], ...ofBare, least: 0.85 },
  { operations: ["one"], ...ofBare, least: 0.8 },
  { operations: ["insert"], ...ofBare, least: 0.95 },
  { operations, ...atInfo, least: 0.9 },
  { operations: ["list", "one"], ...ofLimit, least: 0.7 },
  { operations: ["insert"], ...ofLimit, least: 0.6 },
  { operations: ["list", "one"], ...againstExpress, least: 5, format: times },
  { operations: ["list", "one"], ...againstHono, least: 2.5, format: times },
];

export function verdicts(measured: readonly Measured[], wanted: readonly Operation[]): Verdict[] {
  const fastest = (names: readonly string[], operation: Operation) =>
    Math.max(...names.map((name) => perSecond(named(measured, name), operation)));
  return promises.flatMap((promise) => {
    const { what, of = insulaeName, against, least, format = percent } = promise;
    return promise.operations
      .filter((operation) => wanted.includes(operation))
      .map((operation) => ({
        operation,
        ratio: fastest([of], operation) / fastest(against, operation),
      }))
      .filter(({ ratio }) => Number.isFinite(ratio))
      .map(({ operation, ratio }) => ({
        promise: `${operation}: ${what}`,
        target: `≥ ${format(least)}`,
        found: format(ratio),
        met: ratio >= least,
      }));
  });
}
