/** What a request to cancel can hit where the network is slow. */
import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import {
  createEngine,
  type Engine,
  scopeOf,
  tenantA,
  tenantB,
  tenantNumber,
} from "./engine-fixture.ts";

const cancelRequest = 80_877_102;
/** What the proxy does: it keeps requests to cancel or answers back for a while, or cancels twice. */
let proxied: "late requests" | "late answers" | "two requests" = "late requests";
const lateMs = 60;
/** Time for the server to begin the next statement. */
const betweenMs = 20;
let engine: Engine;
let proxy: Server;
let port = 0;

beforeAll(async () => {
  engine = await createEngine();
  const { host = "", port: to = 0 } = engine.resolve(engine.target);
  const target = host.startsWith("/") ? { path: `${host}/.s.PGSQL.${to}` } : { host, port: to };
  proxy = createServer((client) => {
    client.on("error", () => {});
    client.once("data", async (first) => {
      client.pause();
      const isRequest = first.length === 16 && first.readInt32BE(4) === cancelRequest;
      if (isRequest && proxied === "late requests") await sleep(lateMs);
      const server = connect(target as never);
      server.on("error", () => client.destroy());
      server.write(first);
      client.pipe(server);
      if (isRequest && proxied === "two requests") {
        server.on("end", async () => {
          await sleep(betweenMs);
          const second = connect(target as never);
          second.write(first);
          second.pipe(client);
        });
      } else if (isRequest || proxied !== "late answers") server.pipe(client);
      else {
        server.on("data", (answer) => setTimeout(() => client.write(answer), lateMs));
        server.on("end", () => setTimeout(() => client.end(), lateMs));
      }
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  port = (proxy.address() as { readonly port: number }).port;
});
afterAll(async () => {
  await engine?.close();
  proxy?.close();
});

const resolve: Engine["resolve"] = (target) => ({
  ...engine.resolve(target),
  host: "127.0.0.1",
  port,
});

test("a connection goes to somebody else only when no request to cancel can hit it any more", async () => {
  proxied = "late requests";
  const broker = engine.broker({ budget: 2, resolve });
  const lanes = engine.lanes(broker);
  const run = (tenant: typeof tenantA, text: string) =>
    lanes.run(engine.target, scopeOf(tenant), { text, values: [] });
  for (let round = 0; round < 8; round += 1) {
    // It ends by itself while the request is on its way.
    const slow = run(tenantA, "select pg_sleep(0.13)");
    const behind = run(tenantB, "select 1");
    await behind;
    const others = { purpose: "lane" } as const;
    const leases = await Promise.all([
      broker.lease(engine.target, others),
      broker.lease(engine.target, others),
    ]);
    // As a request to cancel would end it.
    await Promise.all(leases.map(({ client }) => client.query("select pg_sleep(0.1)")));
    for (const lease of leases) lease.release();
    await slow;
  }
  await lanes.close();
}, 30_000);

test.each([
  ["begun before the answer to the one that was meant came here", "late answers"],
  ["hit after the one that was meant", "two requests"],
] as const)(
  "a statement is run again that the server had %s",
  async (_, does) => {
    proxied = does;
    const lanes = engine.lanes(engine.broker({ budget: 2, resolve }), {
      maxReadLanes: 2,
      maxWriteLanes: 4,
    });
    const run = (tenant: typeof tenantA, text: string) =>
      lanes.run(engine.target, scopeOf(tenant), { text, values: [] });
    for (let round = 0; round < 12; round += 1) {
      // It ends about when it is cancelled: then the next one is hit.
      const slow = run(tenantNumber(round), `select pg_sleep(${0.04 + round * 0.01})`);
      const behind = [1, 2, 3].map(() => run(tenantB, "select pg_sleep(0.04)"));
      await Promise.all([slow, ...behind]);
    }
    await lanes.close();
  },
  30_000,
);
