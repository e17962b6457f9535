/**
 * One of two database servers hangs: all its processes are suspended, as by a dead disk or a broken
 * network, while 44 tenants with databases on it keep sending requests, each again after
 * `Retry-After` ± 50 %. How much does the p99 of the other server's tenants rise from the moment of
 * the hang? The report has the median of the turns' quantiles.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { startDatabase } from "../database.ts";
import type { Caller } from "../dataset.ts";
import { milliseconds, times } from "../format.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";
import { ask, type Waits } from "../steady.ts";

const perSecond = 100;
const sickTenants = 44;
const largestRatio = 2;
/** Detection takes some four seconds; this covers before and after. */
const leastSeconds = 8;

export async function sickServer(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const [quietOne] = insulae.pool;
  if (!quietOne) throw new Error("a tenant is needed");
  const seconds = Math.max(leastSeconds, bench.options.seconds);
  const second = await startDatabase();
  try {
    bench.progress(`sick-server: making ${sickTenants} tenants on a second server`);
    const sick = await insulae.tenantsOn(second, sickTenants);
    const server = await insulae.start();
    const listen = () => ask(server.baseUrl, quietOne, { perSecond, seconds });
    const quiet: Waits[] = [];
    const hung: Waits[] = [];
    const refused: number[] = [];
    try {
      await untilAnswered(server.baseUrl, sick);
      await listen();
      for (let turn = 1; turn <= bench.options.rounds; turn += 1) {
        bench.progress(`sick-server: turn ${turn} of ${bench.options.rounds}`);
        quiet.push(await listen());
        const resume = await second.suspend();
        const stop = press(server.baseUrl, sick);
        try {
          hung.push(await listen());
        } finally {
          resume();
        }
        refused.push(await stop());
        await untilAnswered(server.baseUrl, sick);
      }
    } finally {
      await server.stop();
    }
    return report(quiet, hung, median(refused), seconds);
  } finally {
    await second.stop();
  }
}

/**
 * Each caller sends requests until stopped. @returns a function that stops them and returns the
 * number of refusals
 */
function press(baseUrl: string, callers: readonly Caller[]): () => Promise<number> {
  const agent = new Agent({ keepAlive: true });
  let stopped = false;
  let refused = 0;
  const all = callers.map(async (caller) => {
    while (!stopped) {
      const { status, retryAfter } = await request(baseUrl, caller, agent);
      if (status === 503) refused += 1;
      // As clients should: they were refused together, and should not return together.
      await sleep(retryAfter * 1000 * (0.5 + Math.random()));
    }
  });
  return async () => {
    stopped = true;
    await Promise.all(all);
    agent.destroy();
    return refused;
  };
}

async function untilAnswered(baseUrl: string, callers: readonly Caller[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  for (let tries = 0; tries < 60; tries += 1) {
    const replies = await Promise.all(callers.map((caller) => request(baseUrl, caller, agent)));
    if (replies.every(({ status }) => status === 200)) {
      agent.destroy();
      return;
    }
    await sleep(500);
  }
  throw new Error("the tenants of the second server get no responses");
}

const request = (
  baseUrl: string,
  { token }: Caller,
  agent: Agent,
): Promise<{ status: number; retryAfter: number }> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    get(`${baseUrl}/api/v1/contacts?limit=25`, { agent, headers }, (response) => {
      response.resume();
      const retryAfter = Number(response.headers["retry-after"] ?? 0.1);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, retryAfter }));
    }).on("error", reject);
  });

function report(
  quiet: readonly Waits[],
  hung: readonly Waits[],
  refused: number,
  seconds: number,
): Section {
  const wait = (of: readonly Waits[], share: number) =>
    median(of.map(({ waits }) => quantile(waits, share)));
  const failures = (of: readonly Waits[]) => of.reduce((sum, { failed }) => sum + failed, 0);
  const row = (what: string, of: readonly Waits[]) => [
    what,
    ...[0.5, 0.9, 0.99].map((share) => milliseconds(wait(of, share))),
    String(failures(of)),
  ];
  const ratio = wait(hung, 0.99) / wait(quiet, 0.99);
  return {
    title: "A database server that hangs",
    text: `One tenant of the main server lists at ${perSecond}/s for ${seconds} s from the moment another server hangs; meanwhile ${sickTenants} tenants with databases on that server keep sending requests (${refused} refusals).`,
    columns: ["a tenant of the other server waits (median turn)", "p50", "p90", "p99", "failed"],
    rows: [row("while both answer", quiet), row("while one hangs", hung)],
    verdicts: [
      {
        promise: "another server's tenants' p99 while one server hangs",
        target: `≤ ${largestRatio} × their quiet p99, none refused`,
        found: `${times(ratio)}, ${failures(hung)} refused`,
        met: ratio <= largestRatio && failures(hung) === 0,
      },
    ],
    data: { quiet, hung, refused },
  };
}
