/**
 * A tenant's user sends refused requests over 64 connections: for another tenant's contacts, which
 * is 403 and soon 429. Meanwhile that other tenant sends requests at a steady low rate, and then
 * users of other tenants and accounts sign in. How much do p99 and sign-ins per second suffer
 * compared to no flood? Limits are production's, except that everybody signs in from one address,
 * so that limit is off. The effect on the machine alone is measured by flooding a second server on
 * the same PostgreSQL.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { count, milliseconds, times } from "../format.ts";
import { type LoadResult, runLoad } from "../load.ts";
import { password, signIn } from "../people.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";
import { ask, type Waits } from "../steady.ts";

const perSecond = 100;
const floodConnections = 64;
/** The rate of the plan `premium`. */
const perMinute = 10_000;
const largestRatio = 2;
/** Concurrent sign-ins; too few to saturate the server. */
const signingIn = 2;
const accountEmail = "account@bench.example";

interface SignIns {
  readonly perSecond: number;
  readonly p99Ms: number;
}

interface Turn {
  readonly waits: Waits;
  readonly signIns: SignIns;
}

export async function refusals(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const { rounds, seconds } = bench.options;
  const turns = rounds * 2;
  const [victim, ...others] = insulae.pool;
  if (!victim) throw new Error("tenants are needed");
  const settings = { RATE_LIMIT_PLANS: `free=${perMinute}`, RATE_LIMIT_ANONYMOUS: "100" };
  const servers = await Promise.all([insulae.start(settings), insulae.start(settings)]);
  const [{ baseUrl }, elsewhere] = servers;
  const turn = async (): Promise<Turn> => ({
    waits: await ask(baseUrl, victim, { perSecond, seconds }),
    signIns: await signInFor(baseUrl, seconds),
  });
  const quiet: Turn[] = [];
  const beside: Turn[] = [];
  const within: Turn[] = [];
  const floods: LoadResult[] = [];
  const during = async (flooded: string, token: string): Promise<Turn> => {
    const load = runLoad({
      baseUrl: flooded,
      prefix: "/api/v1",
      operation: "elsewhere",
      callers: [{ ordinal: victim.ordinal, token }],
      seconds: seconds * 2 + 1,
      connections: floodConnections,
      threads: 1,
    });
    await sleep(500);
    const found = await turn();
    floods.push(await load);
    return found;
  };
  try {
    bench.progress("refusals: warming up");
    await register(baseUrl);
    await turn();
    for (const [index, { token }] of others.slice(-turns).entries()) {
      bench.progress(`refusals: turn ${index + 1} of ${turns}`);
      quiet.push(await turn());
      beside.push(await during(elsewhere.baseUrl, token));
      within.push(await during(baseUrl, token));
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return report({ quiet, beside, within }, floods);
}

/** Registers an account, which signs in outside tenants. */
async function register(baseUrl: string): Promise<void> {
  const answer = await fetch(`${baseUrl}/api/v1/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: accountEmail, password }),
  });
  if (answer.status !== 201)
    throw new Error(`registering: ${answer.status} ${await answer.text()}`);
}

/** Users of ten tenants and an account sign in, in turn, a few at a time. */
async function signInFor(baseUrl: string, seconds: number): Promise<SignIns> {
  const waits: number[] = [];
  const began = performance.now();
  let turn = 0;
  const client = async () => {
    while (performance.now() - began < seconds * 1000) {
      const asked = performance.now();
      turn += 1;
      if (turn % 2 === 0) await signIn(baseUrl, 100 + (turn % 10));
      else await signIn(baseUrl, undefined, accountEmail);
      waits.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: signingIn }, client));
  return {
    perSecond: (waits.length * 1000) / (performance.now() - began),
    p99Ms: quantile(waits, 0.99),
  };
}

type Part = "quiet" | "beside" | "within";

function report(
  parts: Readonly<Record<Part, readonly Turn[]>>,
  floods: readonly LoadResult[],
): Section {
  const wait = (part: Part, share: number) =>
    median(parts[part].map(({ waits }) => quantile(waits.waits, share)));
  const failures = (part: Part) => parts[part].reduce((sum, { waits }) => sum + waits.failed, 0);
  const rate = (part: Part) => median(parts[part].map(({ signIns }) => signIns.perSecond));
  const signInP99 = (part: Part) => median(parts[part].map(({ signIns }) => signIns.p99Ms));
  const row = (what: string, part: Part) => [
    what,
    ...[0.5, 0.99].map((share) => milliseconds(wait(part, share))),
    String(failures(part)),
    rate(part).toFixed(1),
    milliseconds(signInP99(part)),
  ];
  const refused = median(floods.map(({ requests, seconds }) => requests / seconds));
  const slower = (by: Part) => {
    const ratio = wait("within", 0.99) / wait(by, 0.99);
    const met = ratio <= largestRatio && failures("within") === 0;
    return { found: times(ratio), met };
  };
  const fewer = (than: Part) => {
    const ratio = rate(than) / rate("within");
    return { found: `÷ ${ratio.toFixed(2)}`, met: ratio <= largestRatio };
  };
  return {
    title: "A flood of refused requests",
    text:
      `A user of one tenant asks for another's contacts over ${floodConnections} connections (${count(refused)} refusals/s, 403 and then 429), ` +
      `${parts.within.length} users one after the other, whose plans grant ${count(perMinute)} a minute. The tenant that they ask for lists at ${perSecond}/s; ` +
      `then users of other tenants, and an account, sign in, ${signingIn} at a time. The load generator runs on the same machine.`,
    columns: ["median turn", "list p50", "list p99", "failed", "sign-ins/s", "sign-in p99"],
    rows: [
      row("quiet", "quiet"),
      row("during a flood of another server beside it", "beside"),
      row("during a flood of its own server", "within"),
    ],
    verdicts: [
      {
        promise: "another tenant's p99 during a flood of refused requests",
        target: `≤ ${largestRatio} × its quiet p99`,
        ...slower("quiet"),
      },
      {
        promise: "the same without what the machine does",
        target: `≤ ${largestRatio} × that beside a flooded server`,
        ...slower("beside"),
      },
      {
        promise: "others' sign-ins during a flood of refused requests",
        target: `≥ quiet rate ÷ ${largestRatio}`,
        ...fewer("quiet"),
      },
    ],
    data: { parts, floods },
  };
}
