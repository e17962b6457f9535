/** A request to cancel that is late hits nobody else. */
import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import { createEngine, type Engine, scopeOf, tenantA, tenantB } from "./engine-fixture.ts";

const cancelRequest = 80_877_102;
const lateMs = 60;
let engine: Engine;
let proxy: Server;
let port = 0;

/** Passes everything on, requests to cancel late. */
beforeAll(async () => {
  engine = await createEngine();
  const { host = "", port: to = 0 } = engine.resolve(engine.target);
  const target = host.startsWith("/") ? { path: `${host}/.s.PGSQL.${to}` } : { host, port: to };
  proxy = createServer((client) => {
    client.on("error", () => {});
    client.once("data", async (first) => {
      client.pause();
      if (first.length === 16 && first.readInt32BE(4) === cancelRequest) await sleep(lateMs);
      const server = connect(target as never);
      server.on("error", () => client.destroy());
      server.write(first);
      client.pipe(server).pipe(client);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  port = (proxy.address() as { readonly port: number }).port;
});
afterAll(async () => {
  await engine?.close();
  proxy?.close();
});

test("a connection goes to somebody else only when no request to cancel can hit it any more", async () => {
  const resolve: Engine["resolve"] = (target) => ({
    ...engine.resolve(target),
    host: "127.0.0.1",
    port,
  });
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
