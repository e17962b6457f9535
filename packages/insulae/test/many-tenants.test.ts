/** What a node does by itself reads what is due and what is active, however many tenants there are. */
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../src/app/app.ts";
import type { App } from "../src/app/app-api.ts";
import { standardFeatures } from "../src/features/index.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { job } from "../src/kernel/feature/job.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp, type TestApp } from "../src/testing/test-app.ts";

const idle = 20_000;
const ran: string[] = [];
const note = job("tests.note", { run: async (_data, { tenant }) => void ran.push(tenant.id) });
const features = [...standardFeatures, feature("tests", { jobs: [note] })];

let app: TestApp;
let database: pg.Client;
let active: TestMember;
beforeAll(async () => {
  app = await createTestApp({ features, config: { jobsConcurrency: 0 } });
  database = new pg.Client({ connectionString: app.config.databaseUrl });
  await database.connect();
  active = await createMember(app);
});
afterAll(async () => {
  await database?.end();
  await app?.close();
});

/** Tenants of the pool that have been here for a while, have been measured, and have had jobs. */
async function addIdleTenants(): Promise<void> {
  await database.query(
    `with accounts as (
       insert into control.accounts (email, password_hash)
       select 'idle' || n || '@example.com', 'x' from generate_series(1, $2::int) n
       returning id, email
     ), made as (
       insert into control.tenants (key, slug, name, status, placement_id, owner_account_id)
       select name, name, 'Idle', 'active', $1, id
       from accounts cross join lateral split_part(email, '@', 1) as name
       returning id, key, owner_account_id
     ), hosts as (
       insert into control.hosts (hostname, tenant_id) select key || '.example.com', id from made
     ), memberships as (
       insert into control.memberships (account_id, tenant_id, user_id)
       select owner_account_id, id, id from made
     ), jobs as (
       insert into control.jobs (id, queue, job, data, state, finished_at)
       select app.uuid_v7(), id, 'tests.note', '{}', 'completed', now() from made
     ), later as (
       insert into control.jobs (id, queue, job, data, key, state, due_at)
       select app.uuid_v7(), id, 'tests.note', '{}', 'later', 'held', now() + interval '1 day'
       from made
     ), measured as (
       insert into control.usage_measured (tenant_id, at)
       select id, now() - interval '1 day' from made
     ), used as (
       insert into control.usage_daily (tenant_id, day, metric, amount)
       select id, current_date - 1, 'rows', 1 from made
     ), sent as (
       insert into control.mails (tenant_id, template, recipient, state, finished_at)
       select id, 'test', 'ada@example.com', 'sent', now() from made
     ), tokens as (
       insert into control.one_time_tokens
         (tenant_id, subject_id, purpose, hash, expires_at)
       select id, id, 'test', sha256(id::text::bytea), now() + interval '1 day' from made
     )
     insert into control.sessions (tenant_id, subject_id, kind, epoch, expires_at, last_used_at)
     select id, id, 'token', '0', now() + interval '1 day', now() - interval '2 days' from made`,
    [active.tenant.placement.id, idle],
  );
  await database.query("vacuum analyze");
}

/** How many rows were read by scans of whole tables, or of whole indexes, since the start of the statistics. */
async function rowsRead(): Promise<Record<string, number>> {
  const { rows } = await database.query<{ name: string; read: string }>(
    `select schemaname || '.' || relname as name, seq_tup_read + coalesce(idx_tup_fetch, 0) as read
     from pg_stat_user_tables where schemaname = 'control'`,
  );
  return Object.fromEntries(rows.map(({ name, read }) => [name, Number(read)]));
}

/** What of it is as much as there are tenants, from now until `work` has ended. */
async function muchReadBy(work: () => Promise<void>): Promise<(readonly [string, number])[]> {
  const before = await rowsRead();
  await work();
  const after = Object.entries(await rowsRead());
  return after
    .map(([name, rows]) => [name, rows - (before[name] ?? 0)] as const)
    .filter(([, rows]) => rows >= idle);
}

const jobCount = async () => {
  const { rows } = await database.query<{ n: number }>(
    "select count(*)::int as n from control.jobs",
  );
  return rows[0]?.n ?? 0;
};

describe("beside 20,000 tenants that do nothing", () => {
  beforeAll(addIdleTenants, 60_000);

  /** As at a start, in a process that ends: what a session has read is known for certain when it has ended. */
  const withNode = async (jobsConcurrency: number, work: (node: App) => Promise<void>) => {
    const config = { ...app.config, jobsConcurrency };
    const log = pino({ level: "silent" });
    const node = await createApp({ env: {}, features, config, log });
    await work(node).finally(node.close);
  };

  it("a node that starts, looks after things and runs jobs reads none of them", async () => {
    const before = await jobCount();
    const { id } = active.tenant;
    const much = await muchReadBy(() =>
      withNode(4, async (node) => {
        const scheduled = [...node.jobs.declared.values()].filter(({ schedule }) => schedule);
        await node.withPlatform("a test", async ({ jobs }) => {
          // As at their time.
          for (const each of scheduled) await jobs.send(each as never, {} as never);
        });
        await node.withTenant(id, ({ jobs }) => jobs.send(note, {}));
        await expect.poll(() => ran, { timeout: 10_000 }).toContain(id);
        await node.inject({ url: "/metrics" });
      }),
    );
    expect(much).toEqual([]);
    // Those of the platform and the test's own.
    expect((await jobCount()) - before).toBeLessThan(10);
  }, 60_000);

  it("nor does whoever looks one up", async () => {
    const much = await muchReadBy(() =>
      withNode(0, async (node) => {
        const { id, key, number } = active.tenant;
        for (const reference of [id, key, String(number), "idle77", "idle-78", "nobody"]) {
          await node.tenants.find(reference);
        }
        await node.inject({ url: "/api/v1/contacts", headers: { host: "idle79.example.com" } });
        const login = { email: "idle80@example.com", password: "a-Wrong-passphrase-7" };
        await node.inject({ method: "POST", url: "/api/v1/auth/login", payload: login });
        await node.ensureAdmin({ email: "admin@example.com", password: "a-Fine-passphrase-7" });
        const owner = (await node.tenants.get("idle81")).ownerAccountId;
        expect(await node.tenants.count({ ownerAccountId: owner })).toBe(1);
        expect(await node.tenants.list({ ownerAccountId: owner, limit: 10 })).toHaveLength(1);
        expect(await node.tenants.list({ limit: 10 })).toHaveLength(10);
      }),
    );
    expect(much).toEqual([]);
  }, 60_000);
});

it("each foreign key of the control plane has an index, so that a deletion reads no more than what goes", async () => {
  const { rows } = await database.query<{ key: string }>(`
    select conrelid::regclass || ' (' || string_agg(attname, ', ' order by position) || ')' as key
    from pg_constraint c
    cross join unnest(c.conkey) with ordinality as part (attnum, position)
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = part.attnum
    where c.contype = 'f' and c.connamespace = 'control'::regnamespace
      and not exists (
        select from pg_index i
        where i.indrelid = c.conrelid and i.indisvalid
          and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) like '%IS NOT NULL%')
          and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
    group by c.oid, c.conrelid
    order by 1`);
  expect(rows).toEqual([]);
});
