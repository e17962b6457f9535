/**
 * A long run over all tenants with reads and writes; between stretches, idle memory, handles and
 * PostgreSQL connections are measured. A leak grows with the requests, so the last third of the run
 * is compared with the one before. Each of the twelve stretches takes `--seconds`: `--only soak
 * --seconds 60` is twelve minutes.
 */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { removeInserted } from "../dataset.ts";
import { count, megabytes, percent } from "../format.ts";
import { operations, runLoad } from "../load.ts";
import type { Bench, Section, Verdict } from "../scenario.ts";
import type { ServerProcess } from "../server-process.ts";
import { median } from "../statistics.ts";

const stretches = 12;
/** By then client connections are closed and idle lanes have settled. */
const settleMs = 2_000;
/** With a larger heap, the garbage collector would use it for hundreds of thousands of requests. */
const smallHeap = { NODE_OPTIONS: "--max-old-space-size=128" };
const largestGrowth = 0.1;
/** A lane more or less is no leak. */
const moreHandles = 8;

interface Held {
  readonly requests: number;
  readonly failed: number;
  readonly memory: number;
  readonly handles: number;
  readonly connections: number;
}

export async function soak(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const server = await insulae.start(smallHeap);
  const held: Held[] = [];
  try {
    for (let i = 0; i < stretches; i += 1) {
      bench.progress(`soak: ${i + 1} of ${stretches}`);
      const operation = operations[i % operations.length] ?? "list";
      const { requests, failed } = await runLoad({
        baseUrl: server.baseUrl,
        prefix: "/api/v1",
        operation,
        callers: insulae.pool,
        seconds: bench.options.seconds,
        connections: 32,
        threads: 1,
      });
      await sleep(settleMs);
      held.push({ requests, failed, ...(await look(bench, server)) });
    }
  } finally {
    await server.stop();
    await bench.database.connected(removeInserted);
  }
  return report(held);
}

async function look({ database }: Bench, server: ServerProcess) {
  const connections = await database.connected(async (client) => {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::integer as count from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    );
    return rows[0]?.count ?? 0;
  });
  return { memory: server.memory() ?? 0, handles: openHandles(server.pid), connections };
}

/** Open file descriptors: files, sockets, timers. 0 if the system does not report them. */
function openHandles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

function report(held: readonly Held[]): Section {
  const third = Math.floor(held.length / 3);
  const [before, last] = [held.slice(third, 2 * third), held.slice(-third)];
  const typical = (part: readonly Held[], name: "memory" | "handles" | "connections") =>
    median(part.map((one) => one[name]));
  const growth = typical(last, "memory") / typical(before, "memory") - 1;
  const requests = held.reduce((sum, one) => sum + one.requests, 0);
  const failed = held.reduce((sum, one) => sum + one.failed, 0);
  const verdicts: Verdict[] = [
    {
      promise: "memory is flat over a long run",
      target: `at most ${percent(largestGrowth)} more than in the third before`,
      found: percent(growth),
      met: growth <= largestGrowth,
    },
    ...(["handles", "connections"] as const).map((name): Verdict => {
      const more = typical(last, name) - typical(before, name);
      return {
        promise: `${name} are flat over a long run`,
        target: `at most ${moreHandles} more`,
        found: String(more),
        met: more <= moreHandles,
      };
    }),
    { promise: "no request fails", target: "0", found: String(failed), met: failed === 0 },
  ];
  return {
    title: "Soak",
    text: `${count(requests)} requests over all tenants (lists, one by id, inserts), in ${held.length} stretches; the server's resources two seconds after each.`,
    columns: ["after requests", "memory", "handles", "connections"],
    rows: held.map(({ memory, handles, connections }, i) => [
      count(held.slice(0, i + 1).reduce((sum, one) => sum + one.requests, 0)),
      megabytes(memory),
      String(handles),
      String(connections),
    ]),
    verdicts,
    data: held,
  };
}
