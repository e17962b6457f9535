/**
 * The effect of a thousand log viewers on the requests they watch. All see each request's line:
 * they are a hundred administrators of the requested tenant, with ten streams each. The log level
 * is `info` with and without them, so lines are written either way. Measured with as many requests
 * as the server can serve, and with a steady moderate load. Viewers share the machine with the
 * server, as the load does, but have a lower priority than both (`load/log-viewers.ts`).
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { epochOf } from "../../packages/insulae/src/kernel/identity/authority.ts";
import type { TenantId, UserId } from "../../packages/insulae/src/kernel/lib/ids.ts";
import { tenantId } from "../dataset.ts";
import { count, megabytes, milliseconds, percent, times } from "../format.ts";
import { type LoadResult, runLoad } from "../load.ts";
import { hashOfPassword } from "../people.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";
import { ask, type Waits } from "../steady.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const administrators = 100;
const streamsEach = 10;
const connections = 16;
const viewerCount = administrators * streamsEach;
const steadily = 300;
const settleSeconds = 1;
const leastShare = 0.9;
const largestP50 = 1.25;
const largestP99 = 2;

export async function viewers(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const [caller] = insulae.pool;
  if (!caller) throw new Error("a tenant is needed");
  const tokens = await administratorsOf(bench, tenantId(caller.ordinal));
  const { rounds, seconds } = bench.options;
  const turns = rounds * 3;
  const server = await insulae.start();
  const load = { prefix: "/api/v1", operation: "list", callers: [caller], threads: 1 } as const;
  const measure = async (): Promise<Measured> => {
    const { baseUrl, processorMs } = server;
    // A thousand new or departed viewers cause some work; let it settle.
    await sleep(settleSeconds * 1_000);
    const before = processorMs() ?? Number.NaN;
    const full = await runLoad({ ...load, baseUrl, connections, seconds });
    const processorUs = (((processorMs() ?? Number.NaN) - before) * 1000) / full.requests;
    const steady = await ask(baseUrl, caller, { perSecond: steadily, seconds });
    return { full, processorUs, steady };
  };
  // Alternate: without, with, without, with, without …
  const alone: Measured[] = [];
  const watched: Measured[] = [];
  const read: Read[] = [];
  try {
    bench.progress("viewers: warming up");
    await runLoad({ ...load, baseUrl: server.baseUrl, connections, seconds: 2 });
    alone.push(await measure());
    for (let turn = 1; turn <= turns; turn += 1) {
      bench.progress(`viewers: turn ${turn} of ${turns}`);
      const watching = await watch(server.baseUrl, tokens);
      watched.push(await measure());
      read.push(await watching.leave());
      alone.push(await measure());
    }
  } finally {
    await server.stop();
  }
  const sum = (of: (one: Read) => number) => read.map(of).reduce((a, b) => a + b);
  const watchedSeconds = turns * (settleSeconds + seconds * 2);
  return report(alone, watched, {
    bytes: sum(({ bytes }) => bytes) / watchedSeconds,
    processorMs: sum(({ processorMs }) => processorMs) / watchedSeconds,
  });
}

/** What the viewers read, and the processor time they used. */
interface Read {
  readonly bytes: number;
  readonly processorMs: number;
}

interface Measured {
  readonly full: LoadResult;
  /** The server's processor time per request; NaN if the system does not report it. */
  readonly processorUs: number;
  readonly steady: Waits;
}

function report(
  alone: readonly Measured[],
  watched: readonly Measured[],
  perSecond: Read,
): Section {
  const rate = ({ full }: Measured) => full.requests / full.seconds;
  const steadyP50 = ({ steady }: Measured) => quantile(steady.waits, 0.5);
  const steadyP99 = ({ steady }: Measured) => quantile(steady.waits, 0.99);
  const failures = ({ full, steady }: Measured) => full.failed + steady.failed;
  const row = (name: string, all: readonly Measured[]) => [
    name,
    count(median(all.map(rate))),
    milliseconds(median(all.map(({ full }) => full.p99Ms ?? Number.NaN))),
    `${Math.round(median(all.map(({ processorUs }) => processorUs)))} µs`,
    milliseconds(median(all.map(steadyP50))),
    milliseconds(median(all.map(steadyP99))),
    String(all.reduce((sum, one) => sum + failures(one), 0)),
  ];
  // Compared with the turns before and after, because the machine's fluctuations can exceed the
  // effect.
  const ratio = (of: (one: Measured) => number) =>
    median(
      watched.map((one, i) => (2 * of(one)) / (of(alone[i] ?? one) + of(alone[i + 1] ?? one))),
    );
  const share = ratio(rate);
  const rates = alone.map(rate);
  const difference = median(rates.slice(1).map((one, i) => Math.abs(one / (rates[i] ?? one) - 1)));
  const p50 = ratio(steadyP50);
  const p99 = ratio(steadyP99);
  const noneFailed = [...alone, ...watched].every((one) => failures(one) === 0);
  return {
    title: "A thousand viewers of the log",
    text:
      `${connections} connections list contacts, then ${steadily} lists a second at a steady rate. ${viewerCount} viewers see each request's line ` +
      `(they read ${megabytes(perSecond.bytes)} a second, which takes ${percent(perSecond.processorMs / 1000)} of a processor; ` +
      "lines beyond their share are dropped and counted). " +
      `Two turns without viewers, one after the other, differ by ${percent(difference)} (median).`,
    columns: [
      "",
      "requests/s",
      "p99",
      "server's processor time for each",
      `p50 at ${steadily}/s`,
      `p99 at ${steadily}/s`,
      "failed",
    ],
    rows: [row("nobody watches", alone), row("watched", watched)],
    verdicts: [
      {
        promise: "requests while a thousand watch the log",
        target: `≥ ${percent(leastShare)} of those while nobody does`,
        found: `${percent(share)}, processor time ${times(ratio(({ processorUs }) => processorUs))}`,
        met: share >= leastShare && noneFailed,
      },
      {
        promise: "a request of a steady load while a thousand watch the log",
        target: `p50 ≤ ${largestP50} ×, p99 ≤ ${largestP99} × that while nobody does`,
        found: `${p50.toFixed(2)} ×, ${times(p99)}`,
        met: p50 <= largestP50 && p99 <= largestP99 && noneFailed,
      },
    ],
    data: { alone, watched, share, p50, p99, difference, perSecond },
  };
}

async function administratorsOf(bench: Bench, tenant: string): Promise<string[]> {
  const insulae = await bench.insulae();
  const hash = await hashOfPassword();
  const ids = await bench.database.connected(async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `insert into data.users (tenant_id, email, role, password_hash, sessions_valid_from)
       select $1, 'viewer-' || n || '@example.com', 'admin', $2, to_timestamp(0)
       from generate_series(1, $3) as n returning id`,
      [tenant, hash, administrators],
    );
    return rows.map(({ id }) => id);
  });
  return insulae.withServices(({ platform }) =>
    Promise.all(
      ids.map((id) =>
        platform.tokens.sign(
          // the ids come from the inserted rows
          { tenantId: tenant as TenantId, userId: id as UserId, role: "admin", permissions: [] },
          { id: randomUUID(), epoch: epochOf(new Date(0)) },
        ),
      ),
    ),
  );
}

/** @returns a function that ends it */
async function watch(baseUrl: string, tokens: readonly string[]) {
  const folder = temporaryFolder();
  const file = join(folder.path, "tokens.txt");
  const perStream = tokens.flatMap((token) => Array<string>(streamsEach).fill(token));
  writeFileSync(file, perStream.join("\n"));
  const script = join(import.meta.dirname, "../load/log-viewers.ts");
  const child = spawn(process.execPath, [script, `${baseUrl}/api/ws/logs`, file], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const said = createInterface(child.stdout)[Symbol.asyncIterator]();
  if ((await said.next()).done) throw new Error("the viewers could not connect");
  folder.remove();
  return {
    async leave(): Promise<Read> {
      child.stdin.end();
      const { value, done } = await said.next();
      if (done) throw new Error("the viewers exited early");
      return JSON.parse(value);
    },
  };
}
