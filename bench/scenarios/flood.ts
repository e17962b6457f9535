/**
 * One tenant sends requests at a steady low rate while another floods the server over 64
 * connections. How much does the quiet tenant's p99 rise? All have the largest plan's rate, as in
 * production. Turns alternate, and each flood comes from a fresh tenant with a full bucket;
 * requests beyond the rate are refused. The report has the median of the turns' quantiles, so a
 * turn in which the machine stalled counts once.
 *
 * The quiet tenant's server shares the machine with the load and PostgreSQL. The effect of that
 * alone is measured by flooding a second server on the same PostgreSQL.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Caller } from "../dataset.ts";
import { count, milliseconds, times } from "../format.ts";
import { type LoadResult, runLoad } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";
import type { ServerProcess } from "../server-process.ts";
import { median, quantile } from "../statistics.ts";
import { ask, type Waits } from "../steady.ts";

const perSecond = 100;
const floodConnections = 64;
/** The rate of the plan `premium`. */
const perMinute = 10_000;
const largestRatio = 2;
/** Floods of each server before measuring. */
const warmUps = 2;

export async function flood(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const { rounds, seconds } = bench.options;
  const turns = rounds * 2;
  const [quietOne, ...others] = insulae.pool;
  if (!quietOne) throw new Error("tenants are needed");
  const warming = others.splice(0, warmUps);
  const settings = { RATE_LIMIT_PLANS: `free=${perMinute}` };
  const servers = await Promise.all([insulae.start(settings), insulae.start(settings)]);
  const [here, elsewhere] = servers;
  const load = (server: ServerProcess, flooding: Caller, duration: number) =>
    runLoad({
      baseUrl: server.baseUrl,
      prefix: "/api/v1",
      operation: "list",
      callers: [flooding],
      seconds: duration,
      connections: floodConnections,
      threads: 1,
    });
  const listen = (duration: number) =>
    ask(here.baseUrl, quietOne, { perSecond, seconds: duration });
  const floods: LoadResult[] = [];
  const during = async (flooded: ServerProcess, flooding: Caller): Promise<Waits> => {
    const flood = load(flooded, flooding, seconds + 1);
    await sleep(500);
    const waits = await listen(seconds);
    floods.push(await flood);
    return waits;
  };
  const quiet: Waits[] = [];
  const beside: Waits[] = [];
  const within: Waits[] = [];
  try {
    bench.progress("flood: warming up");
    for (const server of servers) {
      for (const flooding of warming) await during(server, flooding);
    }
    floods.length = 0;
    for (const [turn, flooding] of others.slice(0, turns).entries()) {
      bench.progress(`flood: turn ${turn + 1} of ${turns}`);
      quiet.push(await listen(seconds));
      beside.push(await during(elsewhere, flooding));
      within.push(await during(here, flooding));
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return report({ quiet, beside, within }, floods);
}

type Part = "quiet" | "beside" | "within";

function report(
  parts: Readonly<Record<Part, readonly Waits[]>>,
  floods: readonly LoadResult[],
): Section {
  const wait = (part: Part, share: number) =>
    median(parts[part].map(({ waits }) => quantile(waits, share)));
  const failures = (part: Part) => parts[part].reduce((sum, { failed }) => sum + failed, 0);
  const p99 = (part: Part) => wait(part, 0.99);
  const row = (what: string, part: Part) => [
    what,
    ...[0.5, 0.9, 0.99].map((share) => milliseconds(wait(part, share))),
    String(failures(part)),
  ];
  const perSecondOf = (of: (flood: LoadResult) => number) =>
    count(median(floods.map((flood) => of(flood) / flood.seconds)));
  const verdict = (promise: string, to: Part, what: string) => ({
    promise,
    target: `≤ ${largestRatio} × ${what}`,
    found: times(p99("within") / p99(to)),
    met: p99("within") <= largestRatio * p99(to) && failures("within") === 0,
  });
  return {
    title: "A flood by another tenant",
    text:
      `One tenant lists at ${perSecond}/s; ${parts.within.length} others flood it in turn, over ${floodConnections} connections, at ${count(perMinute)} a minute granted ` +
      `(${perSecondOf(({ requests, failed }) => requests - failed)} answers/s, ${perSecondOf(({ failed }) => failed)} refusals/s). The load generator runs on the same machine.`,
    columns: ["the quiet tenant waits (median turn)", "p50", "p90", "p99", "failed"],
    rows: [
      row("alone", "quiet"),
      row("during a flood of another server beside its own", "beside"),
      row("during a flood of its own server", "within"),
    ],
    verdicts: [
      verdict("another tenant's p99 during a flood", "quiet", "its quiet p99"),
      verdict("the same without what the machine does", "beside", "that beside a flooded server"),
    ],
    data: { parts, floods },
  };
}
