/**
 * The register of data places is complete: each table is covered exactly once, or exempt for a
 * reason.
 */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import { controlTables, tablesByTenant } from "./control-places.ts";
import { createDataPlaces } from "./data-places.ts";
import { userTables } from "./user-traces.ts";

let installation: TestInstallation;
let client: pg.Client;

beforeAll(async () => {
  installation = await createTestInstallation([]);
  client = await installation.open("owner");
});
afterAll(() => installation?.close());

/** Tables of the control plane. */
async function listTables(): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select nspname || '.' || relname as name
     from pg_class join pg_namespace n on n.oid = relnamespace
     where nspname = 'control' and relkind in ('r', 'p')
     order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** Tables with a column of one of these names. */
async function listTablesWith(...columns: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct attrelid::regclass::text as name
     from pg_attribute
     where attrelid::regclass::text ~ '^control\\.' and not attisdropped
       and (select relkind from pg_class where oid = attrelid) in ('r', 'p')
       and attname = any($1)
     order by 1`,
    [columns],
  );
  return rows.map(({ name }) => name);
}

/** References to tenants by a foreign key of any name. */
async function listReferring(): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct conrelid::regclass::text as name from pg_constraint
     where contype = 'f' and confrelid = 'control.tenants'::regclass order by 1`,
  );
  return rows.map(({ name }) => name);
}

test("every table of the control plane is erased or kept for a reason", async () => {
  expect(await listTables()).toEqual(Object.keys(controlTables).sort());
  for (const [name, table] of Object.entries(controlTables)) {
    const said = "kept" in table ? table.kept : table.holds;
    expect(said.length, name).toBeGreaterThan(10);
  }
});

test("every reference to a tenant is erased by its id", async () => {
  expect(await listReferring()).toEqual([...tablesByTenant].sort());
  expect(await listTablesWith("tenant_id")).toEqual([...tablesByTenant].sort());
});

test("a new table without an entry is noticed", async () => {
  await client.query("begin; set local role insulae_owner");
  await client.query(
    "create table control.notes (id uuid, whose uuid references control.tenants, tenant_id uuid)",
  );
  expect(await listTables()).toContain("control.notes");
  expect(await listReferring()).toContain("control.notes");
  expect(await listTablesWith("tenant_id")).toContain("control.notes");
  await client.query("rollback");
  expect(Object.keys(controlTables)).not.toContain("control.notes");
});

test("each erasure by tenant_id uses an index", async () => {
  const { rows } = await client.query<{ name: string }>(
    `select distinct indrelid::regclass::text as name
     from pg_index
     join pg_attribute a on a.attrelid = indrelid and a.attnum = indkey[0]
     where attname = 'tenant_id' and indpred is null and indrelid::regclass::text = any($1)`,
    [tablesByTenant],
  );
  expect(rows.map(({ name }) => name).sort()).toEqual([...tablesByTenant].sort());
});

test("everything erased with something else names a place or an erased table", () => {
  const places = createDataPlaces({
    ...installation,
    storage: { of: () => ({}), erase: async () => {} } as never,
    redis: {} as never,
    announceErased: async () => {},
  });
  const names = places.map(({ name }) => name);
  expect(names).toEqual([
    ...["files", "rows", "placement", "control plane", "jobs", "redis", "caches"],
  ]);
  for (const table of Object.values(controlTables)) {
    if ("erased" in table && table.erased === "with") {
      expect([...names, ...tablesByTenant]).toContain(table.place);
    }
  }
});

test("every table of the control plane that refers to a user is covered, or kept for a reason", async () => {
  expect(await listTablesWith("user_id", "subject_id")).toEqual(Object.keys(userTables).sort());
});
