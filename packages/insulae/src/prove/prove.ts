/**
 * Proves the isolation of tables: rows of two tenants, probes that have to hold, and mutants, each of which
 * has to be noticed. It works in a scratch database with the tables of an installation, in one
 * transaction that is rolled back, so that no tenant's table is ever touched.
 */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { type Connect, withOwner, withOwnerOnce } from "../kernel/engine/connect.ts";
import { dataSchema } from "../kernel/engine/scope.ts";
import type { Migrations } from "../kernel/schema/migration-files.ts";
import { appRole, ownerRole } from "../kernel/schema/roles.ts";
import { dropDatabase, ensureTemplate } from "../kernel/schema/template.ts";
import { type Mutant, mutants } from "./mutants.ts";
import { type ProbeName, probe, probeNames } from "./probes.ts";
import { fillTables, type ProvenTable, readTables } from "./tables.ts";

export interface Proof {
  readonly tables: number;
  readonly probes: number;
  /** Tables that could not be given rows, so that nothing of them is proven. */
  readonly unfilled: readonly string[];
  /** Probes that fail without any fault: tenants are not isolated. */
  readonly broken: readonly { readonly table: string; readonly probes: readonly ProbeName[] }[];
  readonly mutants: readonly MutantScore[];
}

export interface MutantScore {
  readonly name: string;
  readonly made: number;
  readonly byProbes: number;
  /** Noticed by the check before each start only. */
  readonly byCheck: number;
  /** Tables where nothing notices it. */
  readonly survivors: readonly string[];
}

export interface ProveOptions {
  readonly connect: Connect;
  readonly main: { readonly id: string; readonly database: string };
  readonly migrations: Migrations;
  readonly onProgress?: (done: number, total: number) => void;
}

const tenants = {
  own: "0190aaaa-0000-7000-8000-00000000000a",
  other: "0190bbbb-0000-7000-8000-00000000000b",
};

export const isProven = ({ unfilled, broken, mutants: scores }: Proof): boolean =>
  unfilled.length + broken.length === 0 && scores.every(({ survivors }) => survivors.length === 0);

/** Makes a scratch database, proves its tables, and drops it. */
export async function proveTables(
  options: ProveOptions,
  faults: readonly Mutant[] = mutants,
): Promise<Proof> {
  const { connect, main, migrations } = options;
  const mainTarget = { serverId: main.id, database: main.database };
  const database = `insulae_prove_${randomBytes(6).toString("hex")}`;
  await withOwner(connect, mainTarget, async (client) => {
    const of = { connect, serverId: main.id, mainDatabase: main.database, migrations };
    const template = await ensureTemplate(client, of);
    await client.query(
      `create database ${pg.escapeIdentifier(database)} template ${pg.escapeIdentifier(template)} owner ${ownerRole}`,
    );
  });
  try {
    return await withOwnerOnce(connect, { serverId: main.id, database }, (client) =>
      proveIn(client, faults, options.onProgress),
    );
  } finally {
    await withOwner(connect, mainTarget, (client) => dropDatabase(client, database));
  }
}

async function proveIn(
  client: pg.Client,
  faults: readonly Mutant[],
  onProgress: ProveOptions["onProgress"],
): Promise<Proof> {
  await client.query("begin");
  try {
    await mayBecome(client, appRole);
    await client.query(`set local role ${ownerRole}`);
    await client.query(`grant usage on schema ${dataSchema} to ${appRole}`);
    const tables = await readTables(client, dataSchema);
    const both = [tenants.own, tenants.other];
    const unfilled = await fillTables(client, dataSchema, tables, both);
    const failed = new Set(unfilled.map((line) => line.split(":")[0]));
    const filled = tables.filter(({ name }) => !failed.has(name));
    const broken: { table: string; probes: readonly ProbeName[] }[] = [];
    for (const table of filled) {
      const probes = await probe(client, table, tenants);
      if (probes.length > 0) broken.push({ table: table.name, probes });
    }
    const before = await countProblems(client);
    const scores: MutantScore[] = [];
    for (const mutant of faults) {
      scores.push(await scoreOf(client, mutant, filled, before));
      onProgress?.(scores.length, faults.length);
    }
    return {
      tables: tables.length,
      probes: filled.length * probeNames.length,
      unfilled,
      broken,
      mutants: scores,
    };
  } finally {
    await client.query("rollback");
  }
}

async function scoreOf(
  client: pg.Client,
  mutant: Mutant,
  tables: readonly ProvenTable[],
  problemsBefore: number,
): Promise<MutantScore> {
  let [made, byProbes, byCheck] = [0, 0, 0];
  const survivors: string[] = [];
  for (const table of tables) {
    const sql = mutant.sql(table);
    if (sql === undefined) continue;
    await client.query("savepoint mutant");
    const hasRows = await make(client, sql, table);
    made += 1;
    if (hasRows && (await probe(client, table, tenants, true)).length > 0) byProbes += 1;
    else if ((await countProblems(client)) > problemsBefore) byCheck += 1;
    else survivors.push(table.name);
    await client.query("rollback to savepoint mutant");
  }
  return { name: mutant.name, made, byProbes, byCheck, survivors };
}

/**
 * Makes the fault. Where the rows of two tenants don't allow it, since both have the only value that there is,
 * they go first, and only the check can notice it.
 *
 * @returns whether there are rows
 */
async function make(client: pg.Client, sql: string, { label }: ProvenTable): Promise<boolean> {
  await client.query("savepoint making");
  try {
    await client.query(sql);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== uniqueViolation) throw error;
    await client.query("rollback to savepoint making");
    await client.query(`alter table ${label} disable trigger user`);
    for (const tenant of Object.values(tenants)) {
      await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant]);
      await client.query(`delete from ${label}`);
    }
    await client.query(`alter table ${label} enable trigger user`);
    await client.query(sql);
    return false;
  }
}

const uniqueViolation = "23505";

async function countProblems(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    "select count(*)::int as count from app.isolation_problems($1)",
    [dataSchema],
  );
  return rows[0]?.count ?? 0;
}

/** An administrator who is no superuser has to be a member of a role to take it on. */
async function mayBecome(client: pg.Client, role: string): Promise<void> {
  const { rows } = await client.query<{ may: boolean }>(
    "select pg_has_role(current_user, $1, 'member') as may",
    [role],
  );
  if (!rows[0]?.may) await client.query(`grant ${role} to current_user`);
}
