/**
 * More tenant databases than possible connections: each is used in turn, then all at random by 32
 * clients, while the server's connections are counted. No request may be refused.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../database.ts";
import { milliseconds } from "../format.ts";
import type { DatabaseTenant } from "../insulae.ts";
import type { Bench, Section } from "../scenario.ts";
import { quantile } from "../statistics.ts";

export async function databases(bench: Bench): Promise<Section> {
  const wanted = bench.options.full ? 1000 : 100;
  const insulae = await bench.insulae();
  const tenants = await insulae.databaseTenants(wanted, (made) => {
    if (made % 20 === 0) bench.progress(`tenant databases: ${made} made`);
  });
  bench.progress(`${wanted} tenant databases in turn`);
  const server = await insulae.start();
  const watch = watchConnections(bench.database);
  try {
    const inTurn = await useAll(server.baseUrl, [...tenants, ...tenants], 1);
    const random = Array.from(
      { length: Math.max(2000, 2 * wanted) },
      () => tenants[Math.floor(Math.random() * tenants.length)] as DatabaseTenant,
    );
    const atOnce = await useAll(server.baseUrl, random, 32);
    return report(wanted, inTurn, atOnce, await watch.stop());
  } finally {
    await watch.stop();
    await server.stop();
  }
}

interface Use {
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function useAll(
  baseUrl: string,
  tenants: readonly DatabaseTenant[],
  clients: number,
): Promise<Use> {
  const times: number[] = [];
  let failed = 0;
  const queue = tenants.values();
  const client = async () => {
    for (const { token } of queue) {
      const began = performance.now();
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${baseUrl}/api/v1/contacts?limit=25`, { headers });
      await answer.arrayBuffer();
      times.push(performance.now() - began);
      if (answer.status !== 200) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return {
    requests: tenants.length,
    failed,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
  };
}

interface Connections {
  readonly most: number;
  readonly allowed: number;
}

/** Counts the server's client connections every 20 ms, without its own. */
function watchConnections(database: Database): { stop(): Promise<Connections> } {
  let stopped = false;
  const counting = database.connected(async (client) => {
    const { rows: settings } = await client.query("show max_connections");
    let most = 0;
    while (!stopped) {
      const { rows } = await client.query(
        "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
      );
      most = Math.max(most, rows[0].n);
      await sleep(20);
    }
    return { most, allowed: Number(settings[0].max_connections) };
  });
  return {
    stop() {
      stopped = true;
      return counting;
    },
  };
}

function report(wanted: number, inTurn: Use, atOnce: Use, connections: Connections): Section {
  const row = (what: string, use: Use) => [
    what,
    String(use.requests),
    String(use.failed),
    milliseconds(use.p50Ms),
    milliseconds(use.p99Ms),
  ];
  const failed = inTurn.failed + atOnce.failed;
  return {
    title: `${wanted} tenant databases, one process`,
    text: `At most ${connections.most} connections were open at a time (max_connections is ${connections.allowed}).${wanted < 1000 ? " `--full` takes 1000 databases." : ""}`,
    columns: ["", "requests", "failed", "p50", "p99"],
    rows: [row("in turn, twice", inTurn), row("at random, 32 clients", atOnce)],
    verdicts: [
      {
        promise: `${wanted} tenant databases, none refused`,
        target: "≤ 100 connections, 0 failed",
        found: `${connections.most} connections, ${failed} failed`,
        met: connections.most <= 100 && failed === 0,
      },
    ],
    data: { databases: wanted, inTurn, atOnce, connections },
  };
}
