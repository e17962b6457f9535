/**
 * The gain of a second worker on one machine shared with PostgreSQL and the load generator: the
 * same server as one process and as two workers, in turns. Workers' rate limits are in their
 * primary; two workers without limits show what that costs.
 */
import { count, times } from "../format.ts";
import { type Operation, runLoad } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";
import type { ServerProcess } from "../server-process.ts";
import { median } from "../statistics.ts";

const connections = 32;
const operations = ["list", "one"] as const satisfies readonly Operation[];
/** For one by id, on two cores that also run PostgreSQL and the load generator. */
const leastRatio = 1.2;

const unlimited = {
  RATE_LIMIT_GLOBAL: "0",
  RATE_LIMIT_PLANS: "free=0,standard=0,premium=0",
};

export async function workers(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const { rounds, seconds } = bench.options;
  const servers: (readonly [name: string, server: ServerProcess])[] = [];
  const figures = new Map<string, number[]>();
  try {
    servers.push(["1 process", await insulae.start()]);
    servers.push(["2 workers", await insulae.start({}, ["--workers", "2"])]);
    servers.push(["2 workers, no limits", await insulae.start(unlimited, ["--workers", "2"])]);
    // The first round is warm-up.
    for (let round = 0; round <= rounds; round += 1) {
      for (const operation of operations) {
        for (const [name, { baseUrl }] of servers) {
          bench.progress(`workers: round ${round} of ${rounds}, ${operation}, ${name}`);
          const { requests, failed, ...result } = await runLoad({
            ...{ baseUrl, operation, connections, seconds },
            prefix: "/api/v1",
            callers: insulae.pool,
          });
          if (failed > 0) throw new Error(`${name}: ${failed} of ${requests} requests failed`);
          if (round === 0) continue;
          const key = `${operation} ${name}`;
          figures.set(key, [...(figures.get(key) ?? []), requests / result.seconds]);
        }
      }
    }
  } finally {
    for (const [, server] of servers) await server.stop();
  }
  return report(
    servers.map(([name]) => name),
    figures,
  );
}

function report(
  names: readonly string[],
  figures: ReadonlyMap<string, readonly number[]>,
): Section {
  const perSecond = (operation: Operation, name: string): number =>
    median(figures.get(`${operation} ${name}`) ?? []);
  const ratio = (operation: Operation, name: string): number =>
    perSecond(operation, name) / perSecond(operation, names[0] ?? "");
  const found = ratio("one", "2 workers");
  return {
    title: "Workers",
    text: `The same server as one process and as two workers (\`--workers 2\`), in turns; ${connections} connections. PostgreSQL and the load generator share the machine's cores.`,
    columns: ["", "list, req/s", "one by id, req/s", "list ×", "one by id ×"],
    rows: names.map((name) => [
      name,
      ...operations.map((operation) => count(perSecond(operation, name))),
      ...operations.map((operation) => times(ratio(operation, name))),
    ]),
    verdicts: [
      {
        promise: "one by id, two workers against one process",
        target: `≥ ${times(leastRatio)}`,
        found: times(found),
        met: found >= leastRatio,
      },
    ],
    data: Object.fromEntries(figures),
  };
}
