/**
 * Operations on one schema cost the same however many others there are, measured in catalogue rows
 * that PostgreSQL reads, and in statements sent.
 */
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import type { Connect } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { listDataTables } from "../schema/data-tables.ts";
import { compareTables } from "../schema/feature-tables.ts";
import { findProblemsOf } from "../schema/isolation-check.ts";
import { findCurrent, placementPlans } from "../schema/migrator.ts";
import { migrateAll } from "./migrate-all.ts";
import { findOrphans } from "./orphans.ts";
import { createProvisioning } from "./provisioning.ts";
import { findStrayRows } from "./strays.ts";

const few = 4;
const many = 40;
/** The planner reads single-page catalogues, such as pg_namespace here, completely. */
const smallTables = 200;
const tables = Array.from({ length: 12 }, (_, index) => `notes_${index}`);
const feature = () =>
  testFeature("notes", [
    tables
      .map(
        (table, index) => `
        create table ${table} (id uuid primary key default app.uuid_v7(), other uuid, text text unique);
        create index on ${table} (text);
        select app.tenant_table('${table}');
        select app.tenant_reference('${table}', 'other', '${tables[Math.max(0, index - 1)]}');`,
      )
      .join(""),
  ]);

let installation: TestInstallation;
/** The connection of everything that is measured. */
let worker: pg.Client;
let observer: pg.Client;
const placements: Placement[] = [];
let catalogues: readonly string[];
let sent = 0;
let closed = 0;

const connect: Connect = async () => ({
  client: worker,
  release() {},
  destroy() {
    closed += 1;
  },
});

beforeAll(async () => {
  installation = await createTestInstallation([await feature()]);
  observer = await installation.open("owner");
  worker = await installation.open("owner");
  const { rows } = await observer.query<{ oid: string }>(
    `select oid from pg_class
     where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'i') and not relisshared`,
  );
  catalogues = rows.map(({ oid }) => oid);
  const query = worker.query.bind(worker) as (...args: unknown[]) => unknown;
  Object.assign(worker, {
    query: (...args: unknown[]) => {
      sent += 1;
      return query(...args);
    },
  });
});
afterAll(() => installation?.close());

async function place(): Promise<void> {
  const { control, migrations, secrets, servers, main } = installation;
  const provisioning = createProvisioning({
    ...{ control, connect, migrations, secrets, servers, mainDatabase: main.database },
  });
  placements.push(await provisioning.place(randomUUID() as TenantId, { isolation: "schema" }));
}

/** The catalogue rows that PostgreSQL read for `work`, and the statements sent. */
async function costOf(work: () => Promise<unknown>): Promise<{ rows: number; statements: number }> {
  const before = await readRows();
  sent = 0;
  await work();
  const statements = sent;
  return { rows: (await readRows()) - before, statements };
}

/** Without catalogues shared by all databases, which other tests use. */
async function readRows(): Promise<number> {
  // Its counts are written when this statement's transaction has ended.
  await worker.query("select pg_stat_force_next_flush()");
  const { rows } = await observer.query<{ read: string }>(
    "select sum(pg_stat_get_tuples_returned(oid)) as read from unnest($1::oid[]) as oid",
    [catalogues],
  );
  return Number(rows[0]?.read);
}

const one = () => placements.slice(0, 1);
const schemasOf = (list: readonly Placement[]) => list.map(({ schema }) => schema);
const asOwner = async <Result>(fn: () => Promise<Result>): Promise<Result> => {
  await worker.query("begin; set local role insulae_owner");
  try {
    return await fn();
  } finally {
    await worker.query("rollback");
  }
};

const forOne: Readonly<Record<string, () => Promise<unknown>>> = {
  "making a schema": place,
  "its isolation": () =>
    asOwner(() => worker.query("select * from app.isolation_problems($1)", schemasOf(one()))),
  "its tables": () =>
    asOwner(() => compareTables(worker, schemasOf(one()), installation.migrations)),
  "what it lacks": () => placementPlans(worker, schemasOf(one()), installation.migrations),
  "whether it is current": () => findCurrent(worker, schemasOf(one()), installation.migrations),
  "its quotas": () =>
    asOwner(() =>
      worker.query("select * from app.quota_tables($1::regclass)", [
        `${placements[0]?.schema}.notes_0`,
      ]),
    ),
  "rows of other tenants": () => findStrayRows(worker, installation.control, one()),
};

const forAll: Readonly<Record<string, () => Promise<unknown>>> = {
  "migrating where nothing is to be done": () => migrateAll({ ...installation, connect }),
  "the isolation of all": () => asOwner(() => findProblemsOf(worker, schemasOf(placements))),
  "the tables of all": () =>
    asOwner(() => compareTables(worker, schemasOf(placements), installation.migrations)),
  "what a crash left behind": () =>
    findOrphans(worker, installation.control, installation.main.id, installation.main.database),
};

test("operations on one schema read no more among forty schemas than among four", async () => {
  const measure = async () => {
    const found: Record<string, number> = {};
    for (const [what, work] of Object.entries({ ...forOne, ...forAll })) {
      await work(); // the first call fills caches
      // Autovacuum reads catalogues too, but not all the time.
      const costs = [await costOf(work), await costOf(work), await costOf(work)];
      found[what] = Math.min(
        ...costs.map(({ rows, statements }) => (what in forOne ? rows : statements)),
      );
    }
    return found;
  };
  while (placements.length < few) await place();
  const atFirst = await measure();
  while (placements.length < many) await place();
  const later = await measure();
  const grown = Object.entries(later).filter(
    ([what, cost]) => cost > 1.3 * (atFirst[what] ?? 0) + (what in forOne ? smallTables : 0),
  );
  expect(grown).toEqual([]);
}, 120_000);

test("a connection that created a schema, and has cached its tables, is closed", async () => {
  const before = closed;
  await place();
  expect(closed).toBe(before + 1);
});

test("pg_depend names every relation of a schema, as pg_class has them", async () => {
  await observer.query(`
    create schema every authorization insulae_owner;
    create type every.composite as (a int);
    create table every.plain (id serial primary key, long text unique);
    create table every.parted (id int) partition by range (id);
    create table every.part partition of every.parted for values from (1) to (2);
    create view every.seen as select 1;
    create materialized view every.kept as select 1;
    create table public.moved (id int);
    alter table public.moved set schema every`);
  await observer.query("set role insulae_owner");
  const { rows } = await observer.query<{ object: string }>(
    "select distinct object from app.isolation_problems('every')",
  );
  await observer.query("reset role");
  const { rows: relations } = await observer.query<{ name: string }>(
    `select format('every.%I', relname) as name from pg_class
     where relnamespace = 'every'::regnamespace and relkind not in ('i', 'I')`,
  );
  // Each has a problem, at least its owner.
  const objects = rows.map(({ object }) => object);
  for (const { name } of relations) expect(objects).toContain(name);
  expect(await listDataTables(observer, "every")).toEqual(["moved", "parted", "plain"]);
  await observer.query("drop schema every cascade");
});
