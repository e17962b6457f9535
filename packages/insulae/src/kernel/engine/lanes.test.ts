/**
 * What lanes promise, on a real server.
 *
 * Long because all of it shares one engine and its rows, whose making takes longer than most tests.
 */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Broker, BrokerOptions } from "./broker.ts";
import {
  createEngine,
  type Engine,
  scopeOf,
  tenantA,
  tenantB,
  tenantNumber,
} from "./engine-fixture.ts";
import type { Lanes, LanesOptions } from "./lanes.ts";

let engine: Engine;
let broker: Broker;
let lanes: Lanes;

beforeAll(async () => {
  engine = await createEngine();
  await engine.admin(
    `insert into data.notes (tenant_id, id, text)
     select tenant, n, tenant::text from unnest($1::uuid[]) as tenant, generate_series(1, 3) as n`,
    [[tenantA, tenantB, ...Array.from({ length: 20 }, (_, n) => tenantNumber(n))]],
  );
});
beforeEach(() => start());
afterEach(async () => {
  await lanes.close();
  await broker.close();
});
afterAll(() => engine.close());

const start = (options: Partial<LanesOptions> = {}, connections: Partial<BrokerOptions> = {}) => {
  broker = engine.broker(connections);
  lanes = engine.lanes(broker, options);
};
const restart = async (...options: Parameters<typeof start>) => {
  await lanes.close();
  await broker.close();
  start(...options);
};
/** The server ends a statement after 200 ms. */
const impatient: Partial<BrokerOptions> = {
  resolve: (target) => {
    const config = engine.resolve(target);
    return { ...config, options: `${config.options} -c statement_timeout=200` };
  },
};
const run = (tenantId: typeof tenantA, text: string, values: readonly unknown[] = []) =>
  lanes.run(engine.target, scopeOf(tenantId), { text, values });
const rows = async (tenantId: typeof tenantA, text: string, values: readonly unknown[] = []) =>
  (await run(tenantId, text, values)).rows;

const mine = "select distinct text, pg_backend_pid() as pid from notes";
const setting = "select current_setting('app.current_tenant_id', true) as tenant";

test("a statement sees its own tenant's rows", async () => {
  expect(await rows(tenantA, "select id, text from notes where id = $1", [2])).toEqual([
    { id: 2, text: tenantA },
  ]);
  expect(await rows(tenantB, "select text from notes where text <> $1", [tenantB])).toEqual([]);
});

test("the scope dies with the statement, also after an error and a timeout", async () => {
  await restart({ maxReadLanes: 1, maxWriteLanes: 1 }, impatient);
  const lease = await broker.lease(engine.target, { purpose: "lane" });
  const unscoped = async () => (await lease.client.query(setting)).rows[0].tenant;
  lease.release();
  for (const text of [
    "select 1",
    "select 1/0",
    "this is not SQL",
    "insert into notes (id, text) values (1, 'taken')",
    "select pg_sleep(10)",
  ]) {
    await run(tenantA, text).catch(() => {});
    // The broker gives the lane's connection once it is idle; it is the only one.
    await lanes.close();
    const again = await broker.lease(engine.target, { purpose: "lane" });
    expect(again.client).toBe(lease.client);
    expect(await unscoped()).toBe("");
    expect((await again.client.query("select * from notes")).rows).toEqual([]);
    again.release();
    lanes = engine.lanes(broker, { maxReadLanes: 1, maxWriteLanes: 1 });
  }
}, 30_000);

test("two tenants alternate 10,000 times on one lane with one prepared statement and never cross", async () => {
  await restart({ maxReadLanes: 1, readDepth: 64 });
  const tenants = [tenantA, tenantB];
  const answers = await Promise.all(
    Array.from({ length: 10_000 }, (_, n) => rows(tenants[n % 2] ?? tenantA, mine)),
  );
  const pids = new Set<unknown>();
  answers.forEach((answer, n) => {
    expect(answer.map((row) => row.text)).toEqual([tenants[n % 2]]);
    for (const row of answer) pids.add(row.pid);
  });
  expect(pids.size).toBe(1);
  const [prepared] = await rows(
    tenantA,
    "select count(*)::int as n from pg_prepared_statements where starts_with(statement, $1)",
    [mine],
  );
  expect(prepared?.n).toBe(1);
});

test("an answer whose tenant is not proven is not delivered", async () => {
  await restart({ maxReadLanes: 1 });
  const lease = await broker.lease(engine.target, { purpose: "lane" });
  const session = lease.session;
  // As if the answers on this connection had slipped: the setting is another tenant's.
  const { statement } = session.prepared.use(
    "select set_config('app.current_tenant_id', $1, true), set_config('transaction_read_only', 'on', true)",
    "",
  );
  await lease.client.query(`prepare ${statement.name}(text) as
    select set_config('app.current_tenant_id', '${tenantB}', true), $1`);
  lease.release();
  const answer = await rows(tenantA, mine);
  expect(answer).toEqual([{ text: tenantA, pid: expect.any(Number) }]);
  expect(session.lost).toMatchObject({ message: "an answer does not belong to its statement" });
});

test("a session-level setting in a statement does not reach the next", async () => {
  // Past the check of words: the setting is made by a function.
  await engine.admin(`create or replace function app.set_session(value text) returns text language sql
    as $$ select set_config('app.current_tenant_id', value, false) $$`);
  await restart({ maxReadLanes: 1, maxWriteLanes: 1 });
  await run(tenantA, "select app.set_session($1)", [tenantB]);
  expect(await rows(tenantA, "select distinct text from notes")).toEqual([{ text: tenantA }]);
  await expect(
    run(tenantA, "select set_config('app.current_tenant_id', $1, false)", [tenantB]),
  ).rejects.toThrow("set_config");
});

test("the data plane has no statement without a scope, the control plane none with one", async () => {
  await expect(lanes.run(engine.target, undefined, { text: mine, values: [] })).rejects.toThrow(
    "needs a scope",
  );
  const control = { ...engine.target, role: "control" as const };
  await expect(lanes.run(control, scopeOf(tenantA), { text: mine, values: [] })).rejects.toThrow(
    "takes no scope",
  );
});

test.each([
  "begin",
  "copy notes to stdout",
  "listen x",
  "set role none",
  "discard all",
  "lock notes",
])("%s is refused on a lane", async (text) => {
  await expect(run(tenantA, text)).rejects.toMatchObject({ name: "StatementRefused" });
});

test("several statements in one are refused by the protocol", async () => {
  await expect(run(tenantA, "select 1; select 2")).rejects.toMatchObject({ code: "42601" });
});

test("1,000 calls whose callers went away disturb nobody", async () => {
  const tenants = Array.from({ length: 20 }, (_, n) => tenantNumber(n));
  const answers = await Promise.all(
    Array.from({ length: 2_000 }, async (_, n) => {
      const tenant = tenants[n % 20] ?? tenantA;
      const answer = rows(tenant, n % 7 === 0 ? "select 1/0" : "select distinct text from notes");
      if (n % 2 === 0) {
        answer.catch(() => {});
        return undefined; // aborted: nobody waits for it
      }
      return answer.then(
        (each) => ({ tenant, text: each[0]?.text }),
        (error: { code: string }) => ({ tenant, text: tenant, code: error.code }),
      );
    }),
  );
  for (const answer of answers) if (answer) expect(answer.text).toBe(answer.tenant);
});

test("an error ends its own statement only", async () => {
  await restart({ maxReadLanes: 1 });
  const outcomes = await Promise.allSettled([
    rows(tenantA, "select 1 as n"),
    rows(tenantA, "select 1/0"),
    rows(tenantA, "no such statement"),
    rows(tenantA, "select $1::uuid", ["not a uuid"]),
    rows(tenantA, "select $1::json", [{ circular: 1n }]),
    rows(tenantB, "select 2 as n"),
  ]);
  expect(
    outcomes.map((each) =>
      each.status === "fulfilled" ? each.value : (each.reason.code ?? each.reason.name),
    ),
  ).toEqual([[{ n: 1 }], "22012", "42601", "22P02", "TypeError", [{ n: 2 }]]);
});

test("a statement whose first use fails is usable by those behind it, and later", async () => {
  await restart({ maxReadLanes: 1 });
  const text = "select $1::int / $2::int as n";
  const outcomes = await Promise.allSettled([
    rows(tenantA, text, ["x", 1]), // the Parse succeeds, the Bind fails
    rows(tenantB, text, [6, 2]),
    rows(tenantB, text, [8, 2]),
  ]);
  expect(outcomes.map((each) => each.status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  const missing = "select * from appears_later";
  const failed = await Promise.allSettled([rows(tenantA, missing), rows(tenantA, missing)]);
  for (const each of failed) expect(each).toMatchObject({ reason: { code: "42P01" } });
  await engine.admin(
    "create table data.appears_later (n int); grant select on data.appears_later to public",
  );
  expect(await rows(tenantA, missing)).toEqual([]);
});

test("a prepared statement survives a migration that changes what it returns", async () => {
  await restart({ maxReadLanes: 1 });
  await engine.admin(
    "create table data.changing (n int); grant select on data.changing to public; insert into data.changing values (1)",
  );
  expect(await rows(tenantA, "select * from changing")).toEqual([{ n: 1 }]);
  await engine.admin("alter table data.changing add m text default 'new'");
  const answers = await Promise.all([
    rows(tenantA, "select * from changing"),
    rows(tenantB, "select * from changing"),
  ]);
  for (const answer of answers) expect(answer).toEqual([{ n: 1, m: "new" }]);
});

test("prepared statements are bounded, and the least used are closed", async () => {
  await lanes.close();
  await broker.close();
  broker = engine.broker({ maxPrepared: 8 });
  lanes = engine.lanes(broker, { maxReadLanes: 1 });
  await Promise.all(Array.from({ length: 100 }, (_, n) => rows(tenantA, `select ${n} as n`)));
  const [row] = await rows(tenantA, "select count(*)::int as n from pg_prepared_statements");
  expect(row?.n).toBeLessThanOrEqual(8);
  expect(row?.n).toBeGreaterThan(4);
});

test("what looks like a read and writes is run as a write, once", async () => {
  await engine.admin(`create or replace function app.add_note(id int) returns int language sql
    as $$ insert into data.notes (id, text) values (id, 'by a function') returning id $$`);
  expect(await rows(tenantA, "select app.add_note(100) as id")).toEqual([{ id: 100 }]);
  expect(await rows(tenantA, "delete from notes where id = 100 returning text")).toEqual([
    { text: "by a function" },
  ]);
});

test("a read is one: the server refuses to write in it, so that it may be sent twice", async () => {
  const access = "select current_setting('transaction_read_only') as read_only";
  expect(await rows(tenantA, access)).toEqual([{ read_only: "on" }]);
  expect(
    await rows(
      tenantA,
      `with t as (update notes set text = text returning 1) ${access} from t limit 1`,
    ),
  ).toEqual([{ read_only: "off" }]);
});

test("a timeout of the server is 503", async () => {
  await restart({}, impatient);
  await expect(run(tenantA, "select pg_sleep(10)")).rejects.toMatchObject({
    code: "statement_timeout",
    status: 503,
    headers: { "Retry-After": "1" },
  });
}, 15_000);

/** Holds up each statement `atGate` until it is opened. */
const closeGate = async () => {
  const keeper = new pg.Client({ connectionString: engine.url });
  await keeper.connect();
  await keeper.query("select pg_advisory_lock(7)");
  const at = (what: string) =>
    keeper.query(`select ${what} from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`);
  const arrived = async (count = 1) =>
    void (await expect.poll(async () => (await at("1")).rowCount).toBe(count));
  return {
    /** Of those at the gate. */
    at: async (what: string) => (await at(what)).rows,
    /** Resolves when the server has so many statements at the gate. */
    arrived,
    /** Ends the connections of those at the gate. */
    terminate: () => at("pg_terminate_backend(pid)"),
    /** Resolves when the server has had a statement at the gate for longer than the lanes like. */
    async isSlow() {
      await expect.poll(async () => (await at("1")).rowCount).toBeGreaterThan(0);
      await sleep(30);
    },
    open: () => keeper.end(),
  };
};
const atGate = "select pg_advisory_xact_lock(7)";

test("reads on a connection that is lost are tried once more, writes are reported", async () => {
  const gate = await closeGate();
  const read = rows(tenantA, "select text from notes, pg_advisory_xact_lock(7) where id = 1");
  const write = run(
    tenantA,
    "insert into notes (id, text) select 50, 'lost' from pg_advisory_xact_lock(7)",
  );
  const reported = expect(write).rejects.toMatchObject({
    code: "write_outcome_unknown",
    status: 503,
    headers: { "Retry-After": "1" },
  });
  await gate.arrived(2);
  await gate.terminate();
  await reported;
  await gate.open();
  expect(await read).toEqual([{ text: tenantA }]);
  expect(await rows(tenantA, "select * from notes where id = 50")).toEqual([]);
  await expect
    .poll(() => broker.stats().open - broker.stats().idle - broker.stats().leased)
    .toBe(0);
});

test("a write that was never sent is sent elsewhere", async () => {
  await restart({ maxReadLanes: 1, maxWriteLanes: 1 });
  await rows(tenantA, "select 1");
  const lease = await broker.lease(engine.target, { purpose: "lane" });
  lease.release();
  const write = run(tenantA, "insert into notes (id, text) values (60, 'once') returning id");
  // In this turn it is still in the buffer of whichever connection it was given to.
  lease.client.connection.stream.destroy();
  expect((await write).rows).toEqual([{ id: 60 }]);
  await run(tenantA, "delete from notes where id = 60");
});

test("a slow statement is avoided: others get another lane", async () => {
  await restart({ maxReadLanes: 3, slowMs: 5 });
  const gate = await closeGate();
  const slow = rows(tenantA, atGate);
  await gate.isSlow();
  // Were one of these behind the slow one, it would wait for a gate that opens only after them.
  for (let n = 0; n < 20; n += 1) await rows(tenantB, "select 1");
  expect(lanes.stats().read).toBe(2);
  await gate.open();
  await slow;
});

test.each([
  ["reads", atGate],
  [
    "writes",
    "insert into notes (id, text) select 70, 'at the gate' from pg_advisory_xact_lock(7) on conflict do nothing",
  ],
])("a tenant whose %s wait for a lock holds up nobody else", async (_, waiting) => {
  await rows(tenantB, "select 1");
  const gate = await closeGate();
  const stuck = Array.from({ length: 60 }, () => run(tenantA, waiting));
  // All of these would wait for a gate that opens only after them.
  for (let n = 0; n < 5; n += 1) {
    await Promise.all([
      rows(tenantB, "select 1"),
      run(tenantB, "update notes set text = text where id = 1"),
    ]);
  }
  await gate.open();
  // What was cancelled has been run again, and nothing twice.
  await Promise.all(stuck);
  await run(tenantA, "delete from notes where id = 70");
});

test("a statement is cancelled only if others wait behind it", async () => {
  const gate = await closeGate();
  const alone = run(tenantA, "select pg_advisory_xact_lock(7), pg_backend_pid() as pid");
  await gate.arrived();
  const [before] = await gate.at("pid");
  await sleep(200);
  const [after] = await gate.at("pid");
  expect(after).toEqual(before);
  await gate.open();
  await alone;
});

test("a flood of one tenant leaves another its turn", async () => {
  await restart({ maxReadLanes: 1, readDepth: 8 });
  await rows(tenantB, "select 1");
  const order: string[] = [];
  const flood = Array.from({ length: 500 }, () =>
    rows(tenantA, "select pg_sleep(0.0005)").then(() => order.push("a")),
  );
  const other = Array.from({ length: 5 }, () =>
    rows(tenantB, "select 1").then(() => order.push("b")),
  );
  await Promise.all(other);
  // One that was under way, and one for each turn of the other's five: the order does not depend on the machine. Eight
  // more were the flood to fill the lane, all of them without turns.
  expect(order.filter((each) => each === "a").length).toBeLessThanOrEqual(8);
  await Promise.all(flood);
});

test("writes are spread over several lanes, reads are not", async () => {
  await restart({ maxWriteLanes: 4, slowMs: 1_000 });
  await Promise.all(Array.from({ length: 200 }, () => rows(tenantA, "select 1")));
  expect(lanes.stats()).toMatchObject({ read: 1, write: 0 });
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        run(tenantA, "insert into notes (id, text) values ($1, 'x') on conflict do nothing", [
          1_000 + n,
        ]),
      ),
    );
  }
  expect(lanes.stats().write).toBeGreaterThan(1);
  expect(lanes.stats().write).toBeLessThanOrEqual(4);
  await run(tenantA, "delete from notes where id >= 1000");
});

test("one request at a time costs one connection, whatever it does", async () => {
  for (let n = 0; n < 5; n += 1) {
    await rows(tenantA, "select 1");
    await run(tenantA, "update notes set text = text where id = 1");
  }
  expect(broker.stats().open).toBe(1);
});

test("lanes are given back when they are idle, and at once when others wait", async () => {
  await lanes.close();
  await broker.close();
  broker = engine.broker({ budget: 1 });
  lanes = engine.lanes(broker, { idleMs: 100 });
  await rows(tenantA, "select 1");
  expect(broker.stats()).toMatchObject({ leased: 1 });
  (await broker.lease(engine.target, { purpose: "lane" })).release(); // the lane was reclaimed
  await rows(tenantA, "select 1");
  await expect.poll(() => broker.stats().leased, { timeout: 2_000 }).toBe(0);
  await expect.poll(() => lanes.stats().targets, { timeout: 2_000 }).toBe(0);
});

test("a lane that others wait for is given back as soon as nothing is under way on it", async () => {
  await lanes.close();
  await broker.close();
  broker = engine.broker({ budget: 1, holdMs: 60_000 });
  lanes = engine.lanes(broker);
  const gate = await closeGate();
  const busy = rows(tenantA, atGate);
  await gate.arrived();
  const lease = broker.lease(engine.target, { purpose: "lane" });
  await gate.open();
  (await lease).release();
  await busy;
});

test("300 tenant databases in use at once share a few connections, and nobody is refused", async () => {
  await lanes.close();
  await broker.close();
  broker = engine.broker({ budget: 5, holdMs: 5 });
  lanes = engine.lanes(broker);
  const turns = Array.from({ length: 600 }, (_, n) => n).values();
  const worker = async () => {
    for (const n of turns) {
      // Targets that differ in name only: the broker cannot know that it is one database.
      const target = { ...engine.target, serverId: `server ${n % 300}` };
      const tenant = n % 2 ? tenantA : tenantB;
      const text =
        n % 3
          ? "select distinct text from notes"
          : "update notes set text = text where id = 1 returning text";
      const { rows: found } = await lanes.run(target, scopeOf(tenant), { text, values: [] });
      expect(found).toEqual([{ text: tenant }]);
      expect(broker.stats().open).toBeLessThanOrEqual(5);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  expect(broker.stats().waiting).toBe(0);
}, 30_000);

test("when the server is restarted nothing is thrown into the void, and it goes on by itself", async () => {
  await Promise.all(Array.from({ length: 20 }, () => rows(tenantA, "select 1")));
  for (let round = 0; round < 5; round += 1) {
    const work = Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        rows(n % 2 ? tenantA : tenantB, "select distinct text from notes"),
      ),
    );
    await engine.admin(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    for (const each of await work) {
      if (each.status === "rejected") expect(each.reason).toMatchObject({ status: 503 });
    }
  }
  expect(await rows(tenantA, "select 1 as n")).toEqual([{ n: 1 }]);
});

test("whatever is run in whatever order, every answer is its own tenant's", async () => {
  await restart({ maxReadLanes: 3, maxWriteLanes: 3, slowMs: 2, readDepth: 4, writeDepth: 4 });
  const act = async (tenant: typeof tenantA, what: string, log: fc.ContextValue) => {
    const name = `${what} of ${tenant}`;
    log.log(name);
    const text = {
      read: "select text as tenant from notes where id = 1",
      write: "update notes set text = text where id = 2 returning text as tenant",
      error: "select 1/0",
      slow: "select text as tenant, pg_sleep(0.004) from notes where id = 1",
      kill: "select pg_terminate_backend(pg_backend_pid())",
      "bad value": "select text as tenant from notes where id = $1::int",
      "other schema": setting,
    }[what];
    try {
      const answer = await rows(tenant, text ?? "", what === "bad value" ? ["x"] : []);
      log.log(`${name} → ${JSON.stringify(answer)}`);
      if (what !== "kill") expect(answer.map((row) => row.tenant)).toEqual([tenant]);
    } catch (error) {
      log.log(`${name} → ${error}`);
      const { status, code } = error as { status?: number; code?: string };
      expect([503, undefined]).toContain(status);
      if (status === undefined) expect(["22012", "22P02"]).toContain(code);
    }
  };
  const action = fc.record({
    tenant: fc.nat(7).map(tenantNumber),
    what: fc.constantFrom("read", "write", "error", "slow", "kill", "bad value", "other schema"),
    pause: fc.boolean(),
  });
  await fc.assert(
    // What happens when is not the seed's alone: a failure shows the order in its log.
    fc.asyncProperty(
      fc.array(action, { minLength: 20, maxLength: 60 }),
      fc.context(),
      async (actions, log) => {
        const pending: Promise<void>[] = [];
        for (const { tenant, what, pause } of actions) {
          pending.push(act(tenant, what, log));
          if (pause) await sleep(1);
        }
        await Promise.all(pending);
      },
    ),
    { numRuns: 15, interruptAfterTimeLimit: 12_000 },
  );
}, 30_000);
