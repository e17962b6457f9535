/**
 * One tenant asks quietly, at a steady rate, however long the answers take (an open loop: a slow
 * answer doesn't spare the server the next request). Then another one floods the server as fast as
 * 64 connections can. How much longer does the quiet one wait, at the 99th percentile? Both tenants
 * have the rate of the largest plan, as in production, so most of the flood is refused.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Caller } from "../dataset.ts";
import { count, milliseconds, times } from "../format.ts";
import { runLoad } from "../load.ts";
import type { Bench, Section } from "../scenario.ts";
import { quantile } from "../statistics.ts";

const perSecond = 100;
const floodConnections = 64;
/** What the plan `premium` has. */
const perMinute = 10_000;
const largestRatio = 2;

export async function flood(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const [quietOne, flooding] = insulae.pool;
  if (!quietOne || !flooding) throw new Error("two tenants are needed");
  const seconds = Math.max(4, bench.options.seconds);
  const server = await insulae.start({ RATE_LIMIT_PLANS: `free=${perMinute}` });
  const load = (duration: number) =>
    runLoad({
      baseUrl: server.baseUrl,
      prefix: "/api/v1",
      operation: "list",
      callers: [flooding],
      seconds: duration,
      connections: floodConnections,
      threads: 1,
    });
  try {
    bench.progress("flood: warming up");
    await load(2);
    await ask(server.baseUrl, quietOne, 1);
    bench.progress("flood: quiet");
    const quiet = await ask(server.baseUrl, quietOne, seconds);
    bench.progress("flood: flooded");
    const flooded = load(seconds + 1);
    await sleep(500);
    const during = await ask(server.baseUrl, quietOne, seconds);
    return report(quiet, during, await flooded);
  } finally {
    await server.stop();
  }
}

interface Waits {
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Sends `perSecond` requests a second, whether or not the ones before have been answered. */
async function ask(baseUrl: string, caller: Caller, seconds: number): Promise<Waits> {
  const agent = new Agent({ keepAlive: true });
  const waits: number[] = [];
  let failed = 0;
  const answers: Promise<void>[] = [];
  const began = performance.now();
  for (let i = 0; i < seconds * perSecond; i += 1) {
    const due = began + (i * 1000) / perSecond;
    await sleep(Math.max(0, due - performance.now()));
    const sent = performance.now();
    answers.push(
      statusOf(`${baseUrl}/api/v1/contacts?limit=25`, caller.token, agent).then((status) => {
        waits.push(performance.now() - sent);
        if (status !== 200) failed += 1;
      }),
    );
  }
  await Promise.all(answers);
  agent.destroy();
  return { failed, p50Ms: quantile(waits, 0.5), p99Ms: quantile(waits, 0.99) };
}

const statusOf = (url: string, token: string, agent: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    get(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    }).on("error", reject);
  });

function report(
  quiet: Waits,
  during: Waits,
  flooded: { requests: number; failed: number; seconds: number },
): Section {
  const ratio = during.p99Ms / quiet.p99Ms;
  const row = (what: string, { failed, p50Ms, p99Ms }: Waits) => [
    what,
    milliseconds(p50Ms),
    milliseconds(p99Ms),
    String(failed),
  ];
  const answered = (flooded.requests - flooded.failed) / flooded.seconds;
  return {
    title: "A flood by another tenant",
    text:
      `One tenant lists at ${perSecond}/s; another floods over ${floodConnections} connections, at ${count(perMinute)} a minute granted ` +
      `(${count(answered)} answers/s, ${count(flooded.failed / flooded.seconds)} refusals/s). The load generator shares the machine's cores.`,
    columns: ["the quiet tenant waits", "p50", "p99", "failed"],
    rows: [row("alone", quiet), row("during the flood", during)],
    verdicts: [
      {
        promise: "another tenant's p99 during a flood",
        target: `≤ ${largestRatio} × its quiet p99`,
        found: times(ratio),
        met: ratio <= largestRatio && during.failed === 0,
      },
    ],
    data: { quiet, during, flooded, ratio },
  };
}
