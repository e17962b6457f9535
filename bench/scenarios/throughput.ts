/**
 * List of 25, one by id, insert: requests per second of each contender, median of the rounds.
 * Contenders take turns within a round, each in its own process, and each round starts with a
 * different one. Inserted rows are deleted after the measurement, and counted: every acknowledged
 * row must exist.
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

/** Per operation and process: after one second, JavaScript is still getting faster. */
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
  // After the stop, when inserts that nobody waited for are finished.
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

/** @throws Error if an acknowledged write is missing */
async function account(database: Database, contender: Contender, result?: LoadResult) {
  const rows = await takeBack(database, contender);
  const acknowledged = result ? result.requests - result.failed : 0;
  if (rows < acknowledged * 0.999) {
    throw new Error(`${contender.name} acknowledged ${acknowledged} inserts; ${rows} rows exist`);
  }
}
