/** What is left of a tenant once it is deleted and its grace period is over: what the register says. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { coreFeatures, standardFeatures } from "../src/features/index.ts";
import { isolations, type Tenant } from "../src/kernel/model/tenant.ts";
import { userTables } from "../src/kernel/tenancy/user-traces.ts";
import { createTestApp } from "../src/testing/index.ts";
import {
  controlRows,
  featureRows,
  type Planted,
  plantEverything,
} from "../src/testing/something-of-everything.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";
import { withDatabase } from "../src/testing/test-database.ts";
import { describeWithRedis, startTestRedis, type TestRedis } from "../src/testing/test-redis.ts";

let app: App;
const url = () => app.config.databaseUrl ?? "";

async function asSuperuser<Row extends object>(text: string, database?: string): Promise<Row[]> {
  const client = new pg.Client(database === undefined ? url() : withDatabase(url(), database));
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Tables of the main database in which one of the texts stands, in whatever column. */
async function tablesWith(...texts: readonly string[]): Promise<string[]> {
  const tables = await asSuperuser<{ name: string }>(`
    select format('%I.%I', nspname, relname) as name
    from pg_class join pg_namespace n on n.oid = relnamespace
    where relkind = 'r' and nspname !~ '^(pg_|information_schema)'`);
  const found = await asSuperuser<{ name: string }>(
    tables
      .map(({ name }) => {
        const conditions = texts.map((text) => `held::text like '%${text}%'`);
        return `select '${name.replaceAll("'", "''")}' as name
          where exists (select from ${name} as held where ${conditions.join(" or ")})`;
      })
      .join(" union all "),
  );
  return found.map(({ name }) => name).sort();
}

/** Files below the data folder that hold one of the texts, in their path or their bytes. */
const filesWith = (...texts: readonly string[]): string[] =>
  readdirSync(app.config.dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => texts.some((text) => `${path}${readFileSync(path)}`.includes(text)));

const objectsOf = ({ placement: { id, database, schema, role = "" } }: Tenant) =>
  asSuperuser(`
    select datname as name from pg_database
      where datname = '${database}' and datname <> current_database()
    union all
    select rolname from pg_roles where rolname in ('${database}', '${role}')
    union all
    select nspname from pg_namespace where nspname = '${schema}' and nspname <> 'data'
    union all
    select database from control.placements where id = '${id}' and isolation <> 'pool'`);

const endGracePeriod = ({ id }: Tenant) =>
  asSuperuser(
    `update control.tenants set erase_after = now() - interval '1 second' where id = '${id}'`,
  );

let made = 0;
async function makeTenant(isolation: (typeof isolations)[number]): Promise<[Tenant, Planted]> {
  made += 1;
  const tenant = await app.tenants.create({
    key: `acme-${made}`,
    name: "Acme",
    isolation,
    settings: { custom: { support: "ada@acme.example" } },
  });
  return [tenant, await plantEverything(app, tenant)];
}

const isLeft = ["control.audit_log", "control.tenants"];

beforeAll(async () => {
  // Jobs that are planted stay.
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  await app.ensureAdmin({ email: "admin@example.com", password: "a-Fine-passphrase-7" });
});
afterAll(() => app?.close());

test("something is planted in every table of every feature", () => {
  const tables = [...coreFeatures, ...standardFeatures].flatMap(({ tables }) => tables);
  expect(Object.keys(featureRows).sort()).toEqual([...tables].sort());
});

describe.each(isolations)("a tenant in a %s", (isolation) => {
  test("leaves nothing but its tombstone and the platform's audit log", async () => {
    const [tenant, { mark, userId }] = await makeTenant(isolation);
    const [other] = await makeTenant(isolation);
    const before = await tablesWith(tenant.id, mark);
    expect(before).toEqual(expect.arrayContaining([...Object.keys(controlRows), "control.jobs"]));
    expect(filesWith(mark)).toHaveLength(2);
    expect(await objectsOf(tenant)).toHaveLength(isolation === "pool" ? 0 : 3);
    const others = await tablesWith(other.id);

    await app.tenants.delete(tenant.id);
    await app.tenants.sweep();
    expect(await tablesWith(tenant.id), "in its grace period").toContain("control.mails");

    await endGracePeriod(tenant);
    await app.tenants.sweep();
    expect(await tablesWith(tenant.id, mark, userId)).toEqual(isLeft);
    expect(await tablesWith(mark, userId)).toEqual([]);
    expect(filesWith(tenant.id, mark)).toEqual([]);
    expect(await objectsOf(tenant)).toEqual([]);
    const [tombstone] = await asSuperuser(
      `select key, status, erase_after, settings, owner_account_id, placement_id
       from control.tenants where id = '${tenant.id}'`,
    );
    expect(tombstone).toEqual({
      key: tenant.key,
      status: "deleted",
      erase_after: null,
      settings: {},
      owner_account_id: null,
      placement_id: null,
    });
    expect(await tablesWith(other.id), "another tenant's").toEqual(others);
    // What this node's memory had, too.
    await expect
      .poll(() => app.withTenant(tenant, ({ cache }) => cache.get("mark")))
      .toBeUndefined();
  });

  test("is as it was, while its grace period lasts", async () => {
    const [tenant, { mark }] = await makeTenant(isolation);
    const before = await tablesWith(mark);
    await app.tenants.delete(tenant.id);
    await app.tenants.sweep();
    await asSuperuser(
      `update control.tenants set status = 'active', deleted_at = null, erase_after = null
       where id = '${tenant.id}'`,
    );
    expect((await app.tenants.get(tenant.id)).settings).toEqual(tenant.settings);
    const contacts = await app.withTenant(tenant.id, ({ db }) =>
      db.query("select name from contacts"),
    );
    expect(contacts).toEqual([{ name: mark }]);
    // What names the tenant to the world is given up at once: somebody else may claim it.
    const givenUp = /^control\.(hosts|host_c.*|client_certificates|email_domains)$/;
    expect(await tablesWith(mark)).toEqual(before.filter((table) => !givenUp.test(table)));
  });
});

// What a crash at this point leaves behind.
test.each([
  ["before a database's placement is forgotten", "database", "control.placements"],
  ["after a schema is dropped, in the control plane", "schema", "control.mails"],
  ["before the jobs, of a pool", "pool", "control.jobs"],
  ["at the end", "database", "control.tenants"],
] as const)(
  "an erasure that breaks off %s is finished by the next",
  async (_when, isolation, table) => {
    const [tenant, { mark }] = await makeTenant(isolation);
    const breaks = table === "control.tenants" ? "update of erase_after" : "delete";
    await app.tenants.delete(tenant.id);
    await endGracePeriod(tenant);
    await asSuperuser(`
    create or replace function public.broken() returns trigger language plpgsql
      as $$ begin raise exception 'broken off'; end $$;
    create trigger broken before ${breaks} on ${table}
      for each statement execute function public.broken()`);
    await app.tenants.sweep();
    await asSuperuser(`drop trigger broken on ${table}`);
    const due = await asSuperuser(
      `select from control.tenants where id = '${tenant.id}' and erase_after is not null`,
    );
    expect(due).toHaveLength(1);
    await app.tenants.sweep();
    expect(await tablesWith(tenant.id, mark)).toEqual(isLeft);
    expect(await objectsOf(tenant)).toEqual([]);
  },
);

test("a user who is deleted leaves nothing in the control plane but what the tenant has to see", async () => {
  const [tenant, { userId }] = await makeTenant("schema");
  const naming = async () => {
    const found = await asSuperuser<{ name: string }>(
      Object.keys(userTables)
        .map(
          (name) => `select '${name}' as name where exists (
            select from ${name} held where '${userId}' in (
              to_jsonb(held) ->> 'user_id', to_jsonb(held) ->> 'subject_id'))`,
        )
        .join(" union all "),
    );
    return found.map(({ name }) => name);
  };
  expect(await naming()).toEqual(Object.keys(userTables));
  await app.withTenant(tenant, async ({ db, forgetUser }) => {
    await db.query("delete from users where id = $1", [userId]);
    await forgetUser(userId);
  });
  expect(await naming()).toEqual(["control.impersonations"]);
});

test("a table that no loaded feature lists is erased as well", async () => {
  const [tenant, { mark }] = await makeTenant("pool");
  await asSuperuser(`
    begin; set local role insulae_owner; set local search_path = data;
    create table leftover (id uuid primary key, contact uuid, note text);
    select app.tenant_table('leftover');
    select app.tenant_reference('leftover', 'contact', 'contacts', 'restrict');
    commit;
    insert into data.leftover (tenant_id, id, contact, note)
      select '${tenant.id}', gen_random_uuid(), id, '${mark}' from data.contacts
      where tenant_id = '${tenant.id}'`);
  await app.tenants.delete(tenant.id);
  await endGracePeriod(tenant);
  await app.tenants.sweep();
  expect(await tablesWith(tenant.id, mark)).toEqual(isLeft);
  await asSuperuser("drop table data.leftover");
});

describeWithRedis("with a Redis", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  test("none of the tenant's keys is left, and all of another's", async () => {
    const app = await createTestApp({ config: { redisUrl: redis.url } });
    const keysOf = async ({ id }: Tenant) =>
      ((await redis.command("KEYS", `*${id}*`)) as unknown as string[]).length;
    const [tenant, other] = [
      await app.tenants.create({ key: "acme", name: "Acme" }),
      await app.tenants.create({ key: "bank", name: "Bank" }),
    ];
    for (const each of [tenant, other]) {
      await app.withTenant(each, async ({ cache }) => {
        for (let key = 0; key < 50; key += 1) await cache.set(`key ${key}`, "value");
      });
    }
    const kept = await keysOf(other);
    expect(await keysOf(tenant)).toBeGreaterThan(50);
    await app.tenants.delete(tenant.id);
    await app.withPlatform("let the grace period pass", ({ control }) =>
      control
        .updateTable("control.tenants")
        .set({ erase_after: new Date(0) })
        .where("id", "=", tenant.id)
        .execute(),
    );
    await app.tenants.sweep();
    expect(await keysOf(tenant)).toBe(0);
    expect(await keysOf(other)).toBe(kept);
    await app.close();
  });
});
