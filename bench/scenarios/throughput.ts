/**
 * A list of 25, one by id, an insert: requests per second of each contender, the median of the
 * rounds. The contenders take turns within a round, each in a process of its own, and each round
 * begins with another one. What an insert adds is taken back after it was measured, and counted:
 * every acknowledged row must be there.
 */

import { type Contender, connections, createContenders } from "../contenders.ts";
import type { Database } from "../database.ts";
import { removeInserted } from "../dataset.ts";
import { type LoadResult, loadGenerator, type Operation, operations } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";
import { latencyOf, type Measured, throughputRow, verdicts } from "./throughput-report.ts";

export async function throughput(bench: Bench): Promise<Section> {
  const { options } = bench;
  const wanted = operations.filter((operation) => options.only.has(operation));
  const contenders = await createContenders(await bench.insulae());
  const measured = await measureAll(bench, contenders, wanted);
  return {
    title: "Requests per second",
    text:
      `${connections} connections, load by ${loadGenerator()}, medians of ${options.rounds} interleaved rounds of ` +
      `${options.seconds} s. In brackets: share of pipelined pgbench, multiple of Express.`,
    columns: ["", ...wanted.map(titleOf), ...wanted.map((operation) => `p50 / p99 ${operation}`)],
    rows: measured.map((one) => [
      one.name,
      ...throughputRow(measured, one, wanted),
      ...wanted.map((operation) => latencyOf(one, operation)),
    ]),
    verdicts: verdicts(measured, wanted),
    data: measured.map((one) => ({ ...one, results: Object.fromEntries(one.results) })),
  };
}

const titleOf = (operation: Operation): string =>
  ({ list: "list of 25", one: "one by id", insert: "insert" })[operation];

async function measureAll(
  bench: Bench,
  contenders: readonly Contender[],
  wanted: readonly Operation[],
): Promise<Measured[]> {
  const results = contenders.map(() => new Map(wanted.map((o) => [o, [] as LoadResult[]])));
  const turns = contenders.map((contender, i) => ({ contender, results: results[i] }));
  for (let round = 0; round < bench.options.rounds; round += 1) {
    const first = round % turns.length;
    for (const turn of [...turns.slice(first), ...turns.slice(0, first)]) {
      if (turn.contender.missing !== undefined) continue;
      bench.progress(`round ${round + 1}: ${turn.contender.name}`);
      for (const [operation, result] of await measureOne(bench, turn.contender, wanted)) {
        turn.results?.get(operation)?.push(result);
      }
    }
  }
  return contenders.map(({ name, missing }, i) => ({
    name,
    ...(missing !== undefined && { missing }),
    results: results[i] ?? new Map(),
  }));
}

/** Per operation, for each process anew: after one second JavaScript still gets faster. */
const warmUpSeconds = 3;

async function measureOne(
  { database, options, progress }: Bench,
  contender: Contender,
  wanted: readonly Operation[],
): Promise<Map<Operation, LoadResult>> {
  const runner = await contender.start();
  const results = new Map<Operation, LoadResult>();
  try {
    if (runner.server) {
      for (const operation of wanted) await runner.measure(operation, warmUpSeconds);
      await takeBack(database, contender);
    }
    for (const operation of wanted) {
      const result = await runner.measure(operation, options.seconds);
      if (result.failed > 0) progress(`  ${operation}: ${result.failed} requests failed`);
      results.set(operation, result);
    }
  } finally {
    await runner.stop();
  }
  // Only now: a stopped server has finished the inserts that nobody waited for any more.
  await account(database, contender, results.get("insert"));
  return results;
}

async function takeBack(database: Database, contender: Contender): Promise<number> {
  let rows = 0;
  for (const name of contender.databases ?? [undefined]) {
    rows += await database.connected(removeInserted, name);
  }
  return rows;
}

/** @throws Error if a write was acknowledged and is not there. */
async function account(database: Database, contender: Contender, result?: LoadResult) {
  const rows = await takeBack(database, contender);
  const acknowledged = result ? result.requests - result.failed : 0;
  if (rows < acknowledged * 0.999) {
    throw new Error(
      `${contender.name} acknowledged ${acknowledged} inserts; ${rows} rows are there`,
    );
  }
}
