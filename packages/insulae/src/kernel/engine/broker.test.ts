// Long because it is one thing that is tested, with one set-up.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Broker, Lease } from "./broker.ts";
import { withOwner } from "./connect.ts";
import { createEngine, type Engine } from "./engine-fixture.ts";
import type { Target } from "./target.ts";

let engine: Engine;
let brokers: Broker[] = [];
const make = (options: Parameters<Engine["broker"]>[0] = {}) => {
  const broker = engine.broker(options);
  brokers.push(broker);
  return broker;
};

beforeAll(async () => {
  engine = await createEngine();
});
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.close()));
  brokers = [];
});
afterAll(() => engine.close());

/** Targets that differ in name only, so that a test needs one database. */
const targetNumber = (n: number): Target => ({ ...engine.target, serverId: `server ${n}` });

const backends = async () => {
  const [row] = await engine.admin<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
     where datname = current_database() and usename = 'insulae_engine_test'`,
  );
  return row?.n;
};
const pidOf = async (lease: Lease): Promise<number> =>
  (await lease.client.query("select pg_backend_pid() as pid")).rows[0].pid;

test("a connection that comes back is used again, for the same target only", async () => {
  const broker = make();
  const first = await broker.lease(engine.target);
  const pid = await pidOf(first);
  first.release();
  const other = await broker.lease(targetNumber(2));
  const second = await broker.lease(engine.target);
  expect(await pidOf(other)).not.toBe(pid);
  expect(await pidOf(second)).toBe(pid);
  for (const lease of [other, second]) lease.release();
  expect(broker.stats()).toEqual({ open: 2, leased: 0, idle: 2, waiting: 0, budget: 10 });
});

test("1000 databases in turn never need more than the budget", async () => {
  const broker = make({ budget: 6 });
  let most = 0;
  const watching = setInterval(async () => {
    most = Math.max(most, (await backends()) ?? 0);
  }, 50);
  const turns = Array.from({ length: 1000 }, (_, n) => n).values();
  const worker = async () => {
    for (const n of turns) {
      const lease = await broker.lease(targetNumber(n), { purpose: "lane" });
      await lease.client.query("select 1");
      expect(broker.stats().open).toBeLessThanOrEqual(6);
      lease.release();
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  clearInterval(watching);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(6);
}, 60_000);

test("who waits is served first in, first out, and in time or told to come back", async () => {
  const broker = make({ budget: 1, acquireTimeoutMs: 300 });
  const held = await broker.lease(engine.target);
  const order: number[] = [];
  const wait = async (n: number) => {
    const lease = await broker.lease(targetNumber(n));
    order.push(n);
    lease.release();
  };
  const waiting = [wait(1), wait(2), wait(3)];
  expect(broker.waiting()).toBe(3);
  held.release();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);

  const again = await broker.lease(engine.target);
  await expect(broker.lease(targetNumber(4))).rejects.toMatchObject({
    code: "database_busy",
    status: 503,
    headers: { "Retry-After": "1" },
  });
  expect(broker.waiting()).toBe(0);
  again.release();
});

test("a wait that is aborted takes nothing", async () => {
  const broker = make({ budget: 1 });
  const held = await broker.lease(engine.target);
  const controller = new AbortController();
  const waiting = broker.lease(engine.target, { signal: controller.signal });
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: "database_busy" });
  held.release();
  expect(broker.stats()).toMatchObject({ leased: 0, idle: 1, waiting: 0 });
});

test("a connection that is ready too late for who asked is there for the next", async () => {
  const gate = Promise.withResolvers<void>();
  const broker = make({
    budget: 1,
    acquireTimeoutMs: 100,
    resolve: async (target) => {
      await gate.promise;
      return engine.resolve(target);
    },
  });
  await expect(broker.lease(engine.target)).rejects.toMatchObject({ code: "database_busy" });
  gate.resolve();
  await expect.poll(() => broker.stats()).toMatchObject({ open: 1, leased: 0, idle: 1 });
  (await broker.lease(engine.target)).release();
});

test("an open transaction, or one that failed, is never inherited", async () => {
  const broker = make({ budget: 1 });
  for (const sql of ["begin", "begin; select 1/0"]) {
    const lease = await broker.lease(engine.target);
    const pid = await pidOf(lease);
    await lease.client.query(sql).catch(() => {});
    lease.release();
    const next = await broker.lease(engine.target);
    expect(await pidOf(next)).not.toBe(pid);
    next.release();
  }
});

test("a statement that is still running is never inherited", async () => {
  const broker = make({ budget: 1 });
  const lease = await broker.lease(engine.target);
  const pid = await pidOf(lease);
  const running = lease.client.query("select pg_sleep(5)").catch((error: Error) => error);
  lease.release();
  const next = await broker.lease(engine.target);
  expect(await pidOf(next)).not.toBe(pid);
  expect(await running).toBeInstanceOf(Error);
  next.release();
});

test("a lease that has ended cannot give back what the next one holds", async () => {
  const broker = make({ budget: 1 });
  const first = await broker.lease(engine.target);
  first.release();
  const second = await broker.lease(engine.target);
  first.release();
  first.destroy();
  expect(broker.stats()).toMatchObject({ leased: 1, idle: 0 });
  await second.client.query("select 1");
  second.release();
});

test("a connection that is killed is forgotten, idle or leased", async () => {
  const broker = make();
  const idle = await broker.lease(engine.target);
  const lost: Error[] = [];
  const leased = await broker.lease(engine.target, { lost: (error) => lost.push(error) });
  idle.release();
  await engine.admin(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = 'insulae_engine_test'`);
  await expect.poll(() => broker.stats().open).toBe(0);
  expect(lost).toHaveLength(1);
  leased.release();
  expect(broker.stats().open).toBe(0);
});

test("an idle connection is closed after a while", async () => {
  const broker = make({ idleMs: 50 });
  (await broker.lease(engine.target)).release();
  await expect.poll(() => broker.stats().open).toBe(0);
});

test("holders of idle connections are asked first, then those who can finish soon", async () => {
  const broker = make({ budget: 2, holdMs: 10 });
  const asked: string[] = [];
  const lane = async (name: string, isIdle: boolean) => {
    const lease: Lease = await broker.lease(targetNumber(1), {
      purpose: "lane",
      reclaim(urgent) {
        asked.push(`${name}${urgent ? " urgently" : ""}`);
        if (isIdle) lease.release();
        else if (urgent) setTimeout(() => lease.release(), 20);
        return isIdle || urgent;
      },
    });
  };
  await lane("busy", false);
  await lane("idle", true);
  const first = await broker.lease(targetNumber(2), { purpose: "lane" });
  expect(asked).toEqual(["busy", "idle"]);
  await sleep(20); // For longer than `holdMs`.
  const second = await broker.lease(targetNumber(3), { purpose: "lane" });
  expect(asked).toContain("busy urgently");
  expect(asked).not.toContain("idle urgently");
  first.release();
  second.release();
});

test("sessions leave room for lanes, and one tenant's sessions for another's", async () => {
  const broker = make({ budget: 8, acquireTimeoutMs: 200 });
  const leases: Lease[] = [];
  const session = async (holder: string) => {
    leases.push(await broker.lease(engine.target, { holder: { group: holder, name: holder } }));
  };
  await Promise.all([session("a"), session("a"), session("a")]);
  const fourth = session("a").catch((error: { code: string }) => error.code);
  await Promise.all([session("b"), session("b"), session("c")]);
  expect(await fourth).toBe("database_busy");
  await expect(session("d")).rejects.toMatchObject({ code: "database_busy" });
  leases.push(await broker.lease(engine.target, { purpose: "lane" }));
  leases.push(await broker.lease(engine.target, { purpose: "lane" }));
  for (const lease of leases) lease.release();
});

test("whoever holds least is served first, however many tenants of an account have waited longer", async () => {
  const broker = make({ budget: 8 });
  const order: string[] = [];
  const session = async (group: string, name: string) => {
    const lease = await broker.lease(engine.target, { holder: { group, name } });
    order.push(name);
    return lease;
  };
  const held = await Promise.all(["a", "a", "a", "b", "b", "b"].map((name) => session("x", name)));
  const waiting = [
    ...["c", "c", "b", "d"].map((name) => session("x", name)),
    ...["e", "e"].map((name) => session("y", name)),
    session("z", "f"),
  ];
  order.length = 0;
  for (const [index, lease] of held.entries()) {
    lease.release();
    await expect.poll(() => order.length).toBe(index + 1);
  }
  expect(order).toEqual(["e", "f", "e", "c", "d", "b"]);
  for (const one of waiting) void one.then((lease) => lease.release());
  await Promise.all(waiting);
});

test("who waits is bounded, and whoever has most waiting gives way to a newcomer", async () => {
  const broker = make({ budget: 1, acquireTimeoutMs: 20_000 });
  const first = await broker.lease(engine.target);
  const end = new AbortController();
  const wait = (name: string) =>
    broker
      .lease(engine.target, { holder: { group: name, name }, signal: end.signal })
      .catch((error: { code: string }) => error.code);
  const many = Array.from({ length: 1_000 }, () => wait("x"));
  expect(await wait("x")).toBe("database_busy");
  const other = wait("y");
  expect(await many.at(-1)).toBe("database_busy");
  first.release();
  const lease = (await Promise.race([other, ...many.slice(0, -1)])) as Lease;
  expect(broker.waiting()).toBe(999);
  end.abort();
  lease.release();
  await Promise.all([other, ...many]);
});

test("each further server has a share, and the control plane a reserve", async () => {
  const broker = make({ budget: 8, acquireTimeoutMs: 200, mainServerId: "server 1" });
  const leases: Lease[] = [];
  const take = async (target: Target, number: number) => {
    for (let i = 0; i < number; i += 1) {
      leases.push(await broker.lease(target, { purpose: "lane" }));
    }
  };
  const busy = { code: "database_busy" };
  await take(targetNumber(2), 3);
  expect(broker.hasRoom(targetNumber(2))).toBe(false);
  const fourth = broker.lease(targetNumber(2), { purpose: "lane" });
  const refused = expect(fourth).rejects.toMatchObject(busy);
  // Who waits for a server's share is in nobody's way.
  await take(targetNumber(1), 2);
  await take(targetNumber(3), 1);
  await refused;
  await expect(broker.lease(targetNumber(1), { purpose: "lane" })).rejects.toMatchObject(busy);
  await take({ ...targetNumber(1), role: "control" }, 2);
  expect(broker.stats().open).toBe(8);

  // What comes free is for whoever waits for the same share.
  const next = broker.lease(targetNumber(2), { purpose: "lane" });
  leases[0]?.release();
  leases.push(await next);
  for (const lease of leases) lease.release();
});

test("a connection on which no answer comes is given up, whatever the server's own limits", async () => {
  const broker = make({ answerTimeoutMs: 1_000 });
  const lease = await broker.lease(engine.target);
  const pid = await pidOf(lease);
  const lost = new Promise<Error>((resolve) => {
    lease.client.connection.stream.once("close", () => {
      if (lease.session.lost) resolve(lease.session.lost);
    });
  });
  process.kill(pid, "SIGSTOP");
  try {
    const answer = lease.client.query("select 1");
    await expect(answer).rejects.toThrow();
    expect(await lost).toMatchObject({ name: "NoAnswer" });
  } finally {
    process.kill(pid, "SIGCONT");
  }
  // The server answered others meanwhile: it is not down.
  expect(broker.isDown(engine.target.serverId)).toBe(false);
  (await broker.lease(engine.target)).release();
});

test("a server that cannot be reached is 503, and it is tried again", async () => {
  let tries = 0;
  const broker = make({
    resolve: () => {
      tries += 1;
      return { host: "127.0.0.1", port: 1 };
    },
  });
  await expect(broker.lease(engine.target)).rejects.toMatchObject({
    code: "database_unavailable",
    status: 503,
    headers: { "Retry-After": "1" },
  });
  expect(tries).toBe(4);
  expect(broker.stats().open).toBe(0);
});

test("a target is closed before its database is dropped", async () => {
  const broker = make();
  const other = await broker.lease(targetNumber(2));
  const lease = await broker.lease(engine.target, {
    reclaim() {
      lease.release();
      return true;
    },
  });
  (await broker.lease(engine.target)).release();
  await broker.closeTarget((target) => target.serverId === engine.target.serverId);
  expect(broker.stats()).toMatchObject({ open: 1, leased: 1 });
  other.release();
});

test("a target that is busy all the time does not keep another waiting", async () => {
  const broker = make({ budget: 2 });
  let stop = false;
  const busy = async () => {
    while (!stop) {
      const lease = await broker.lease(targetNumber(1), { purpose: "lane" });
      await lease.client.query("select 1");
      lease.release();
    }
  };
  const all = Promise.all([busy(), busy(), busy(), busy(), busy()]);
  try {
    // The busy ones have not stopped: it came between them, and was not told to come back.
    (await broker.lease(targetNumber(2), { purpose: "lane" })).release();
  } finally {
    stop = true;
  }
  await all;
});

test("the owner's statement ends when its server is found not to answer", async () => {
  // It accepts connections and says nothing, as one whose processes are suspended.
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  let hangs = false;
  const broker = make({
    resolve: (target) => (hangs ? { host: "127.0.0.1", port } : engine.resolve(target)),
  });
  const owner: Target = { ...engine.target, role: "owner" };
  let pid = 0;
  const statement = withOwner(broker.lease, owner, async (client) => {
    const { rows } = await client.query("select pg_backend_pid() as pid");
    pid = rows[0].pid;
    hangs = true;
    process.kill(pid, "SIGSTOP");
    return client.query("select 1");
  });
  try {
    await expect(statement).rejects.toMatchObject({ code: "database_unavailable" });
    expect(broker.isDown(owner.serverId)).toBe(true);
    await expect(broker.lease(engine.target)).rejects.toMatchObject({
      code: "database_unavailable",
      headers: { "Retry-After": "1" },
    });
  } finally {
    process.kill(pid, "SIGCONT");
    server.close();
  }
  hangs = false;
  await expect.poll(() => broker.isDown(owner.serverId), { timeout: 5_000 }).toBe(false);
  (await broker.lease(engine.target)).release();
}, 20_000);
