/** What `insulae doctor` finds of tenants that don't exist or are placed elsewhere. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { stockApplication } from "../app/application.ts";
import { loadConfig } from "../config/config.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { createTestApp } from "../testing/index.ts";
import type { TestApp as App } from "../testing/test-app.ts";
import { withDatabase } from "../testing/test-database.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import { checkTenants } from "./doctor-tenants.ts";

const nobody = "0190dead-0000-7000-8000-000000000001";

let app: App;
let pooled: Tenant;
let placed: Tenant;
let erased: Tenant;
const url = () => app.config.databaseUrl ?? "";

async function asSuperuser(text: string, database?: string): Promise<void> {
  const client = new pg.Client(database === undefined ? url() : withDatabase(url(), database));
  await client.connect();
  await client.query(text);
  await client.end();
}

beforeAll(async () => {
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  pooled = await app.tenants.create({ key: "pooled", name: "Pooled" });
  placed = await app.tenants.create({ key: "placed", name: "Placed", isolation: "database" });
  erased = await app.tenants.create({ key: "erased", name: "Erased" });
  await app.tenants.delete(erased.id);
  await asSuperuser("update control.tenants set erase_after = now() where status = 'deleted'");
  await app.tenants.sweep();
});
afterAll(() => app?.close());

const insert = (table: string, { id }: { readonly id: string }) =>
  `insert into ${table} (tenant_id, id, name) values ('${id}', '${nobody}', 'left')`;

/** The checks with findings. */
async function findings(asked: string = url()): Promise<Record<string, string>> {
  const env = {
    APP_ENV: "test",
    DATABASE_URL: asked,
    DATA_DIR: app.config.dataDir,
    MASTER_SECRET: testMasterSecret,
  };
  const checks = await checkTenants(loadConfig(env), stockApplication, asked);
  return Object.fromEntries(
    checks.filter(({ state }) => state !== "ok").map(({ name, message }) => [name, message]),
  );
}

test("nothing in a sound installation", async () => {
  expect(await findings()).toEqual({});
});

describe("rows", () => {
  afterEach(async () => {
    await asSuperuser("delete from data.contacts where name = 'left'");
    await asSuperuser("delete from data.contacts where name = 'left'", placed.placement.database);
  });

  test("in a pool, of a tenant that never existed, was erased, or is placed elsewhere", async () => {
    for (const each of [{ id: nobody }, erased, placed]) {
      await asSuperuser(insert("data.contacts", each));
    }
    const { rows = "", ...others } = await findings();
    for (const id of [nobody, erased.id, placed.id]) expect(rows).toContain(id);
    expect(rows).toContain("data.contacts");
    expect(others).toEqual({});
  });

  test("in a tenant's own database, of another tenant", async () => {
    await asSuperuser(insert("data.contacts", pooled), placed.placement.database);
    const { rows = "" } = await findings();
    expect(rows).toContain(placed.placement.database);
    expect(rows).toContain(pooled.id);
  });

  test("in a pool, for an administrator who can't see rows: of known tenants", async () => {
    await asSuperuser(insert("data.contacts", erased));
    await asSuperuser(insert("data.contacts", placed));
    const modest = `modest_${placed.id.slice(-12)}`;
    await asSuperuser(`
      create role ${modest} login password 'modest' createrole createdb;
      grant insulae_owner, insulae_app to ${modest} with admin option;
      alter database ${new URL(url()).pathname.slice(1)} owner to ${modest}`);
    const asModest = new URL(url());
    asModest.username = modest;
    asModest.password = "modest";
    try {
      const { rows = "" } = await findings(asModest.href);
      expect(rows).toContain(erased.id);
      expect(rows).toContain(placed.id);
      expect(rows).not.toContain(pooled.id);
    } finally {
      await asSuperuser(`
        alter database ${new URL(url()).pathname.slice(1)} owner to current_user;
        drop owned by ${modest}; drop role ${modest}`);
    }
  });
});

test("rows of the control plane, and jobs, of an erased tenant; not a live tenant's jobs", async () => {
  await asSuperuser(`
    insert into control.mails (tenant_id, template, recipient) values ('${erased.id}', 'a', 'b');
    insert into control.usage_daily values ('${erased.id}', '2026-01-01', 'requests', 1);
    insert into control.jobs (id, queue, job, data) values
      (gen_random_uuid(), '${nobody}', 'tests.test', '{}'),
      (gen_random_uuid(), '${pooled.id}', 'tests.test', '{}')`);
  const { "control plane": found = "", ...others } = await findings();
  expect(found.split("\n").slice(1)).toEqual([
    `control.mails, of ${erased.id}`,
    `control.usage_daily, of ${erased.id}`,
    `control.jobs, of ${nobody}`,
  ]);
  expect(others).toEqual({});
  await asSuperuser(`
    delete from control.mails; delete from control.usage_daily; delete from control.jobs`);
});

test("files of an erased tenant", async () => {
  const files = join(app.config.dataDir, "files");
  for (const id of [erased.id, pooled.id]) {
    await mkdir(join(files, id), { recursive: true });
    await writeFile(join(files, id, "a-file"), "");
  }
  const found = await findings();
  expect(found).toEqual({ files: `files of tenants that do not exist: ${erased.id}` });
  await rm(files, { recursive: true });
});

test("a table that no feature lists, in a tenant's database", async () => {
  const table = "create table by_hand (id uuid primary key); select app.tenant_table('by_hand')";
  await asSuperuser(
    `set role insulae_owner; set search_path = data; ${table}`,
    placed.placement.database,
  );
  const { tables = "", ...others } = await findings();
  expect(tables).toContain(
    `${placed.placement.database}: no feature creates or lists the table data.by_hand`,
  );
  expect(others).toEqual({});
});
