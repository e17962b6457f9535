/** Jobs of the version that used pg-boss survive the upgrade, in every state. */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { pino } from "pino";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApp } from "../src/app/app.ts";
import type { App } from "../src/app/app-api.ts";
import { coreFeatures } from "../src/features/index.ts";
import { retryJob } from "../src/features/jobs/jobs.queries.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { job, platformJob } from "../src/kernel/feature/job.ts";
import { createJobQueue } from "../src/kernel/jobs/queue.ts";
import { createSecrets } from "../src/kernel/lib/secrets.ts";
import { loadMigrations } from "../src/kernel/schema/migration-files.ts";
import { bootMainServer } from "../src/kernel/tenancy/prepare.ts";
import { testConfig } from "../src/testing/test-config.ts";
import { createTestDatabase, type TestDatabase } from "../src/testing/test-database.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";
import { until } from "../src/testing/until.ts";

const ran: string[] = [];
const data = Type.Object({ note: Type.String() });
const note = job("tests.note", {
  data,
  run: async (data, { job: { attempt } }) => void ran.push(`${data.note} ${attempt}`),
});
const ours = platformJob("tests.ours", {
  data,
  run: async (data, { job: { attempt } }) => void ran.push(`${data.note} ${attempt}`),
});
const tests = feature("tests", { jobs: [note, ours] });

const secrets = createSecrets(testMasterSecret);
let database: TestDatabase;
let client: pg.Client;
let app: App | undefined;
let tenant: string;
let suspended: string;
const ids: Record<string, string> = {};

const rows = async (text: string, ...values: unknown[]) => (await client.query(text, values)).rows;
const open = async () => {
  const opened = new pg.Client({ connectionString: database.url });
  await opened.connect();
  return opened;
};

/** As the version before the table `control.jobs`, or this one. */
const boot = async (version: "before" | "now") => {
  const migrations = await loadMigrations([...coreFeatures, tests]);
  const { migrations: control } = migrations.control;
  const at = control.findIndex(({ name }) => name === "job_table");
  expect(at).toBeGreaterThan(0);
  const until = version === "now" ? control.length : at;
  const all = { ...migrations, control: { name: "control", migrations: control.slice(0, until) } };
  await bootMainServer({ url: database.url, secrets, migrations: all, lockTimeoutMs: 10_000 });
};

/** The statement of the version before. */
const add = (by: pg.Client, queue: string, name: string, key?: string, after?: string) => {
  const id = randomUUID();
  ids[name] = id;
  const row = {
    id,
    name: queue,
    data: { job: queue === "platform" ? ours.name : note.name, data: { note: name } },
    priority: 0,
    singleton_key: key === undefined ? id : `${note.name}:${key}`,
    start_after: after,
    retries: 5,
    backoff: 15,
    timeout: 900,
  };
  return by.query(
    `insert into pgboss.job_common (
       id, name, data, priority, singleton_key, start_after, keep_until, retry_limit, retry_delay,
       retry_backoff, retry_delay_max, expire_seconds, deletion_seconds, heartbeat_seconds, policy)
     select job.id, job.name, job.data, job.priority, job.singleton_key, at,
       at + make_interval(secs => 1000000), job.retries, job.backoff, true, 21600, job.timeout,
       604800, 30, 'short'
     from jsonb_to_recordset($1::jsonb) as job (
         id uuid, name text, data jsonb, singleton_key text, start_after timestamptz, priority int,
         retries int, backoff int, timeout int)
       cross join lateral pgboss.create_queue(job.name, '{"policy": "short"}')
       cross join lateral coalesce(job.start_after, now()) as at
     on conflict do nothing`,
    [JSON.stringify([row])],
  );
};

/** What pg-boss made of a job by now. */
const was = (name: string, set: string) =>
  rows(`update pgboss.job_common set ${set} where id = $1`, ids[name]);

const newTenant = async (key: string, status: string): Promise<string> => {
  const [row] = await rows(
    `with place as (
       insert into control.placements (server_id, database, schema, isolation, version)
       select server_id, database, schema, isolation, version from control.placements limit 1
       on conflict (server_id, database, schema) do update set version = excluded.version
       returning id)
     insert into control.tenants (key, slug, name, status, placement_id)
     select $1, $1, $1, $2, id from place returning id`,
    key,
    status,
  );
  return (row as { id: string }).id;
};

beforeAll(async () => {
  database = await createTestDatabase();
  await boot("before");
  client = await open();
  tenant = await newTenant("one", "active");
  suspended = await newTenant("two", "suspended");
});
afterAll(async () => {
  await app?.close();
  await client?.end();
  await database?.drop();
});

it("moves every job, also one that is added meanwhile, and refuses a process of the version before", async () => {
  await add(client, tenant, "waiting");
  await add(client, tenant, "keyed", "k");
  await add(client, tenant, "later", undefined, "2099-01-01T00:00:00Z");
  await add(client, "platform", "ours");
  await add(client, suspended, "suspended");
  await add(client, tenant, "retried");
  await was(
    "retried",
    `state = 'retry', started_on = now(), start_after = now() + interval '1 hour',
    blocked = true, output = '{"error": "it stumbled"}'`,
  );
  await add(client, tenant, "handed back");
  await was("handed back", "state = 'retry'");
  await add(client, tenant, "running");
  await was(
    "running",
    `state = 'active', started_on = now(), heartbeat_on = now(), retry_count = 1,
    output = '{"progress": 0.5}'`,
  );
  await add(client, tenant, "completed");
  await was(
    "completed",
    `state = 'completed', started_on = now(), completed_on = now(),
    output = '{"result": {"sent": 1}}'`,
  );
  await add(client, tenant, "parked");
  await was(
    "parked",
    `state = 'failed', started_on = now(), completed_on = now(), retry_count = 5,
    output = '{"error": "it is broken"}'`,
  );

  const [old, late] = [await open(), await open()];
  await old.query("begin");
  await add(old, tenant, "in a transaction");
  const booting = boot("now");
  await until("the migration waits", async () => {
    const waits = "select from pg_locks where mode = 'AccessExclusiveLock' and not granted";
    return (await rows(waits)).length > 0;
  });
  const adding = expect(add(late, tenant, "too late")).rejects.toThrow("does not exist");
  await old.query("commit");
  await booting;
  await adding;
  for (const each of [add, () => rows("select from pgboss.job where id = $1", ids.waiting)]) {
    await expect(each(old, tenant, "too late")).rejects.toThrow("does not exist");
  }
  await old.end();
  await late.end();

  const moved = await rows(
    `select data->>'note' as note, queue, key, state, attempts, retries, backoff_seconds as backoff,
       progress, result, error, leased_until > now() + interval '20 seconds' as leased,
       finished_at is not null as finished
     from control.jobs`,
  );
  const plain = {
    ...{ queue: tenant, key: null, state: "ready", attempts: 0, retries: 5, backoff: 15 },
    ...{ progress: null, result: null, error: null, leased: null, finished: false },
  };
  expect(Object.fromEntries(moved.map(({ note, ...job }) => [note, job]))).toEqual({
    waiting: plain,
    keyed: { ...plain, key: "k" },
    later: { ...plain, state: "held" },
    ours: { ...plain, queue: "platform" },
    suspended: { ...plain, queue: suspended },
    retried: { ...plain, state: "held", attempts: 1, error: "it stumbled" },
    "handed back": plain,
    running: { ...plain, state: "running", attempts: 2, progress: 0.5, leased: true },
    completed: {
      ...{ ...plain, state: "completed", attempts: 1, result: { sent: 1 }, finished: true },
    },
    parked: { ...plain, state: "parked", attempts: 6, error: "it is broken", finished: true },
    "in a transaction": plain,
  });
  expect(await rows("select from pg_namespace where nspname = 'pgboss'")).toEqual([]);
});

it("works them off", async () => {
  const log = pino({ level: "silent" });
  const config = { ...testConfig(database.url), jobsConcurrency: 0 };
  const start = (jobsConcurrency: number) =>
    createApp({ env: {}, features: [tests], config: { ...config, jobsConcurrency }, log });
  app = await start(0);
  await app.withTenant(tenant, ({ jobs }) => jobs.send(note, { note: "twice" }, { key: "k" }));
  // Its time comes, and the lease of the dead process runs out.
  await rows("update control.jobs set due_at = now() where id = $1", ids.retried);
  await rows("update control.jobs set leased_until = now() where id = $1", ids.running);
  await rows("update control.jobs set backoff_seconds = 0");
  await app.withPlatform("a test", async ({ control }) => {
    await retryJob(control, undefined, ids.parked ?? "", 5);
    expect(await createJobQueue(control).takeOver()).toBe(1);
  });
  await app.close();

  app = await start(2);
  const expected = [
    ...["waiting 1", "keyed 1", "ours 1", "handed back 1", "in a transaction 1"],
    ...["retried 2", "parked 7", "running 3"],
  ].sort();
  await until("they have run", () => ran.length === expected.length);
  expect([...ran].sort()).toEqual(expected);
  await app.tenants.resume((await app.tenants.get("two")).id);
  await until("that of the suspended tenant has run", () => ran.includes("suspended 1"));
});
