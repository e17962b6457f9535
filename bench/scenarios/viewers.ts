/**
 * What a thousand viewers of the log cost the requests that they watch. All of them see each request's
 * line: they are a hundred administrators of the one tenant that is asked, with ten streams each. The
 * log's level is `info` with and without them, so the lines are written either way. The viewers
 * share the machine with the server, as the load does.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { WebSocket } from "ws";
import { epochOf } from "../../packages/insulae/src/kernel/auth/authority.ts";
import type { TenantId, UserId } from "../../packages/insulae/src/kernel/tenancy/tenant.ts";
import { tenantId } from "../dataset.ts";
import { count, milliseconds, times } from "../format.ts";
import { runLoad } from "../load.ts";
import { hashOfPassword } from "../people.ts";
import type { Bench, Section } from "../scenario.ts";

const administrators = 100;
const streamsEach = 10;
const connections = 16;
const leastShare = 0.75;

export async function viewers(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const [caller] = insulae.pool;
  if (!caller) throw new Error("a tenant is needed");
  const tokens = await administratorsOf(bench, tenantId(caller.ordinal));
  const server = await insulae.start({ LOG_LEVEL: "info" });
  const load = (seconds: number) =>
    runLoad({
      baseUrl: server.baseUrl,
      prefix: "/api/v1",
      operation: "list",
      callers: [caller],
      seconds,
      connections,
    });
  try {
    bench.progress("viewers: warming up");
    await load(2);
    bench.progress("viewers: nobody watches");
    const alone = await load(bench.options.seconds);
    bench.progress(`viewers: ${administrators * streamsEach} watch`);
    const watching = await watch(server.baseUrl, tokens);
    const watched = await load(bench.options.seconds);
    const lines = watching.leave();
    const rates = [alone, watched].map(({ requests, seconds }) => requests / seconds);
    const share = (rates[1] ?? 0) / (rates[0] ?? 1);
    const row = (name: string, { p50Ms = 0, p99Ms = 0, failed }: typeof alone, rate = 0) => [
      ...[name, count(rate), milliseconds(p50Ms), milliseconds(p99Ms), String(failed)],
    ];
    return {
      title: "A thousand viewers of the log",
      text: `${connections} connections list contacts; ${administrators * streamsEach} viewers see each request's line (they were sent ${count(lines)} in all; those beyond their share are dropped and counted).`,
      columns: ["", "requests/s", "p50", "p99", "failed"],
      rows: [row("nobody watches", alone, rates[0]), row("watched", watched, rates[1])],
      verdicts: [
        {
          promise: "requests while a thousand watch the log",
          target: `≥ ${leastShare * 100} % of those while nobody does`,
          found: `${Math.round(share * 100)} %, p99 ${times((watched.p99Ms ?? 0) / (alone.p99Ms ?? 1))}`,
          met: share >= leastShare && watched.failed === 0,
        },
      ],
      data: { alone, watched, share, lines },
    };
  } finally {
    await server.stop();
  }
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
          // The ids come from the rows that were just written.
          { tenantId: tenant as TenantId, userId: id as UserId, role: "admin", permissions: [] },
          { id: randomUUID(), epoch: epochOf(new Date(0)) },
        ),
      ),
    ),
  );
}

async function watch(baseUrl: string, tokens: readonly string[]) {
  const url = `${baseUrl.replace(/^http/, "ws")}/api/ws/logs`;
  let lines = 0;
  const sockets: WebSocket[] = [];
  for (const token of tokens) {
    const opened = Array.from({ length: streamsEach }, () => {
      const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
      socket.on("message", () => {
        lines += 1;
      });
      sockets.push(socket);
      return once(socket, "open");
    });
    await Promise.all(opened);
  }
  return {
    leave() {
      for (const socket of sockets) socket.terminate();
      return lines;
    },
  };
}
