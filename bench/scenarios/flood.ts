/**
 * One tenant asks quietly, at a steady rate. Then another one floods the server as fast as 64
 * connections can. How much longer does the quiet one wait, at the 99th percentile? All have the rate of
 * the largest plan, as in production. They take turns, and each flood is another tenant's, so that it
 * begins with all that the plan grants; what comes beyond that is refused.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { count, milliseconds, times } from "../format.ts";
import { type LoadResult, runLoad } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";
import { ask, type Waits } from "../steady.ts";

const perSecond = 100;
const floodConnections = 64;
/** What the plan `premium` has. */
const perMinute = 10_000;
const largestRatio = 2;

export async function flood(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const { rounds, seconds } = bench.options;
  const turns = rounds * 2;
  const [quietOne, first, ...others] = insulae.pool;
  if (!quietOne || !first) throw new Error("two tenants are needed");
  const server = await insulae.start({ RATE_LIMIT_PLANS: `free=${perMinute}` });
  const load = (flooding: typeof first, duration: number) =>
    runLoad({
      baseUrl: server.baseUrl,
      prefix: "/api/v1",
      operation: "list",
      callers: [flooding],
      seconds: duration,
      connections: floodConnections,
      threads: 1,
    });
  const quiet: Waits[] = [];
  const during: Waits[] = [];
  const floods: LoadResult[] = [];
  try {
    bench.progress("flood: warming up");
    await load(first, 2);
    await ask(server.baseUrl, quietOne, { perSecond, seconds: 1 });
    for (const [turn, flooding] of others.slice(0, turns).entries()) {
      bench.progress(`flood: turn ${turn + 1} of ${turns}`);
      quiet.push(await ask(server.baseUrl, quietOne, { perSecond, seconds }));
      const flooded = load(flooding, seconds + 1);
      await sleep(500);
      during.push(await ask(server.baseUrl, quietOne, { perSecond, seconds }));
      floods.push(await flooded);
    }
  } finally {
    await server.stop();
  }
  return report(quiet, during, floods);
}

function report(
  quiet: readonly Waits[],
  during: readonly Waits[],
  floods: readonly LoadResult[],
): Section {
  const at = (all: readonly Waits[], share: number) =>
    quantile(
      all.flatMap(({ waits }) => waits),
      share,
    );
  const failures = (all: readonly Waits[]) => all.reduce((sum, { failed }) => sum + failed, 0);
  const row = (what: string, all: readonly Waits[]) => [
    what,
    milliseconds(at(all, 0.5)),
    milliseconds(at(all, 0.9)),
    milliseconds(at(all, 0.99)),
    String(failures(all)),
  ];
  const ratio = at(during, 0.99) / at(quiet, 0.99);
  const perFlood = (of: (flood: LoadResult) => number) =>
    count(median(floods.map((flood) => of(flood) / flood.seconds)));
  return {
    title: "A flood by another tenant",
    text:
      `One tenant lists at ${perSecond}/s; ${floods.length} others flood, one after the other, over ${floodConnections} connections, at ${count(perMinute)} a minute granted ` +
      `(${perFlood(({ requests, failed }) => requests - failed)} answers/s, ${perFlood(({ failed }) => failed)} refusals/s). The load generator shares the machine's cores.`,
    columns: ["the quiet tenant waits", "p50", "p90", "p99", "failed"],
    rows: [row("alone", quiet), row("during a flood", during)],
    verdicts: [
      {
        promise: "another tenant's p99 during a flood",
        target: `≤ ${largestRatio} × its quiet p99`,
        found: times(ratio),
        met: ratio <= largestRatio && failures(during) === 0,
      },
    ],
    data: { quiet, during, floods, ratio },
  };
}
