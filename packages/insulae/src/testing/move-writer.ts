/**
 * Writes to a tenant all the while it moves, over connections of the application's own login, and knows
 * every write that was acknowledged. It finds the tenant as a node would: from the control plane, and
 * again when a place says that the tenant has moved.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { TenantId } from "../kernel/lib/ids.ts";
import type { Placement } from "../kernel/model/tenant.ts";
import { selectTenants, toTenant } from "../kernel/tenancy/tenant-queries.ts";
import type { TestInstallation } from "./test-installation.ts";

/** The tables that the writers use; `moveTables` creates them. */
export const moveTables = `
  create type mood as enum ('calm', 'cross');
  create table parents (
    id uuid primary key default app.uuid_v7(),
    name text not null,
    place integer,
    shout text generated always as (upper(name)) stored,
    feeling mood not null default 'calm',
    updated_at timestamptz not null default now(),
    unique (place)
  );
  select app.tenant_table('parents');
  create table children (
    id uuid primary key default app.uuid_v7(),
    parent_id uuid not null,
    position integer not null,
    amount numeric(12, 3) not null default 1.5
  );
  select app.tenant_table('children');
  select app.tenant_reference('children', 'parent_id', 'parents', 'cascade');
  create table numbered (number bigint generated always as identity primary key, text text not null);
  select app.tenant_table('numbered');
  create table pairs (a integer, b text, value jsonb, primary key (a, b));
  select app.tenant_table('pairs');
  create table counters (last_number bigint not null default 0, primary key (tenant_id),
    tenant_id uuid not null default app.current_tenant_id());
  select app.tenant_table('counters');
  create table oddities (
    id integer primary key, doc jsonb, bytes bytea, at timestamptz, took interval,
    real double precision, words text[], matrix integer[], exact numeric, flag boolean, day date,
    fixed char(4), bits bit(5), address inet, range tstzrange
  );
  select app.tenant_table('oddities');`;

/** Rows whose values are easily changed on the way. */
export const oddities = `
  insert into oddities values
    (1, 'null', '\\x00ff', 'infinity', '1 mon -2 days 03:04:05.678', 'NaN', '{a,"b,c",NULL,"\\"q\\""}',
      '{{1,2},{3,NULL}}', 12345678901234567890.123456789012345678, true, '0044-03-15 BC', 'ab', '10101',
      '10.1.2.3/8', '[2020-01-01,infinity)'),
    (2, '{"b": 1, "a": 1e400}', '', '1900-01-01 00:00:00.123456+00', '-00:00:01', 0.1 + 0.2, '{}',
      '{}', 'NaN', false, 'infinity', '', '00000', '::1', 'empty'),
    (3, '"\\u00e4\\ud83d\\ude00"', null, null, null, '-Infinity', null, null, '-Infinity', null, null, null,
      null, null, null),
    (4, '[1, 1.0, 1.00]', decode(repeat('ab', 3000), 'hex'), '294276-12-31 23:59:59.999999+00', '0',
      1e-310, array[repeat('long', 2000), E'\\n\\t\\\\', ''], '[2:3]={4,5}', 1e-20, null, '5874897-12-31',
      null, null, null, null)`;

export interface MoveWriter {
  /** Acknowledged writes so far. */
  readonly writes: () => number;
  /** The longest that a write took, in milliseconds. */
  readonly slowest: () => number;
  /** Stops, and checks that every acknowledged write is there, once, and nothing else. */
  readonly stop: () => Promise<void>;
}

interface Session {
  readonly client: pg.Client;
  readonly placement: Placement;
}

export const placementOfTenant = async (
  { control }: TestInstallation,
  id: TenantId,
): Promise<Placement> =>
  toTenant(await selectTenants(control).where("t.id", "=", id).executeTakeFirstOrThrow()).placement;

/** Runs statements in the tenant's scope, in one transaction, as the application does. */
export async function inScope<Result>(
  { client, placement }: Session,
  id: TenantId,
  fn: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  await client.query("begin");
  try {
    await client.query(
      `select set_config('app.current_tenant_id', $1, true), set_config('search_path', $2, true)`,
      [id, placement.schema],
    );
    if (placement.role) await client.query("select set_config('role', $1, true)", [placement.role]);
    const result = await fn(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

export async function openSession(installation: TestInstallation, id: TenantId): Promise<Session> {
  const placement = await placementOfTenant(installation, id);
  const { serverId, database } = placement;
  const { client } = await installation.connect({ serverId, database, role: "app" });
  return { client, placement };
}

/** @param count how many write at the same time */
export async function writeTo(
  installation: TestInstallation,
  id: TenantId,
  count = 3,
): Promise<MoveWriter> {
  const known = { children: new Map<string, number>(), pairs: new Map<string, string>() };
  const gone = new Set<string>();
  let [writes, slowest, numbers, orders] = [0, 0, 0, 0];
  let stopped = false;

  const operations = (
    worker: number,
    n: number,
  ): ((client: pg.Client) => Promise<() => void>)[] => [
    async (client) => {
      const { rows } = await client.query<{ last_number: string }>(
        "update counters set last_number = last_number + 1 returning last_number",
      );
      const parent = await client.query<{ id: string }>(
        "insert into parents (name) values ($1) returning id",
        [`order ${rows[0]?.last_number}`],
      );
      const children = await client.query<{ id: string }>(
        "insert into children (parent_id, position) select $1, p from generate_series(1, 3) p returning id",
        [parent.rows[0]?.id],
      );
      return () => {
        orders += 1;
        for (const child of children.rows) known.children.set(child.id, 1.5);
      };
    },
    async (client) => {
      await client.query("insert into numbered (text) values ($1)", [`${worker} ${n}`]);
      return () => {
        numbers += 1;
      };
    },
    async (client) => {
      const value = JSON.stringify({ n, worker });
      const b = `${worker}-${n % 7}`;
      await client.query(
        "insert into pairs (a, b, value) values ($1, $2, $3) on conflict (tenant_id, a, b) do update set value = excluded.value",
        [worker, b, value],
      );
      return () => known.pairs.set(b, value);
    },
    async (client) => {
      const child = [...known.children.keys()].find((_, i) => i % count === worker);
      if (child === undefined) return () => {};
      await client.query("update children set amount = $2 where id = $1", [child, n]);
      return () => {
        if (known.children.has(child)) known.children.set(child, n);
      };
    },
    async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `delete from parents where id = (select id from parents where name like 'order %' order by id
           limit 1 offset ${worker} for update skip locked)
         returning id, (select array_agg(c.id) from children c where parent_id = parents.id) as children`,
      );
      const children = (rows[0] as { children?: string[] } | undefined)?.children ?? [];
      return () => {
        if (rows.length > 0) orders -= 1;
        for (const child of children) {
          known.children.delete(child);
          gone.add(child);
        }
      };
    },
    async (client) => {
      // Two rows change places: a unique value must not be in the way.
      await client.query("delete from parents where name in ('left', 'right') and place is null");
      await client.query(
        `insert into parents (name, place) select 'left ${worker}', ${worker * 10}
         where not exists (select from parents where name = 'left ${worker}')`,
      );
      await client.query(
        `update parents set place = case when place = ${worker * 10} then ${worker * 10 + 1} else ${worker * 10} end
         where name = 'left ${worker}'`,
      );
      return () => {};
    },
  ];

  const work = async (worker: number): Promise<void> => {
    let session = await openSession(installation, id);
    for (let n = 0; !stopped; n += 1) {
      const all = operations(worker, n);
      const operation = all[n % all.length];
      if (!operation) continue;
      const began = performance.now();
      for (;;) {
        try {
          const acknowledge = await inScope(session, id, operation);
          acknowledge();
          break;
        } catch (error) {
          const { code } = error as { code?: string };
          if (code !== "MV001" && code !== "40P01") throw error;
          // The place has given the tenant up: ask again where it is.
          const next = await placementOfTenant(installation, id);
          if (next.id === session.placement.id) await sleep(2);
          else {
            void session.client.end();
            session = await openSession(installation, id);
          }
        }
      }
      slowest = Math.max(slowest, performance.now() - began);
      writes += 1;
      await sleep(Math.random() * 6); // So that the writers don't keep both cores to themselves.
    }
    await session.client.end();
  };
  const working = Promise.all(Array.from({ length: count }, (_, worker) => work(worker)));
  // A failure is reported by `stop`.
  working.catch(() => undefined);

  return {
    writes: () => writes,
    slowest: () => slowest,
    async stop() {
      stopped = true;
      await working;
      const session = await openSession(installation, id);
      const found = await inScope(session, id, async (client) => ({
        children: (
          await client.query<{ id: string; amount: string }>("select id, amount from children")
        ).rows,
        pairs: (await client.query<{ b: string; value: unknown }>("select b, value from pairs"))
          .rows,
        numbers: (await client.query("select from numbered")).rowCount,
        orders: (await client.query("select from parents where name like 'order %'")).rowCount,
      }));
      await session.client.end();
      const children = new Map(found.children.map((row) => [row.id, Number(row.amount)]));
      const pairs = new Map(found.pairs.map(({ b, value }) => [b, JSON.stringify(value)]));
      const problems = [
        ...[...known.children].flatMap(([child, amount]) =>
          children.get(child) === amount
            ? []
            : [`child ${child}: ${children.get(child)} for ${amount}`],
        ),
        ...[...gone]
          .filter((child) => children.has(child))
          .map((child) => `child ${child} is back`),
        ...[...known.pairs].flatMap(([b, value]) =>
          pairs.get(b) === value ? [] : [`pair ${b}: ${pairs.get(b)} for ${value}`],
        ),
        ...(found.numbers === numbers ? [] : [`numbers: ${found.numbers} for ${numbers}`]),
        ...(found.orders === orders ? [] : [`orders: ${found.orders} for ${orders}`]),
      ];
      if (problems.length > 0)
        throw new Error(`writes were lost:\n${problems.slice(0, 20).join("\n")}`);
    },
  };
}
