import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { withOwner } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { loadMigrations } from "../schema/migration-files.ts";
import { ensureSchemaRole } from "../schema/roles.ts";
import { templateName } from "../schema/template.ts";
import { chosenName, physicalName } from "./placements.ts";
import { createProvisioning } from "./provisioning.ts";

const notes = `
  create table notes (id uuid primary key default app.uuid_v7(), text text not null default '');
  select app.tenant_table('notes');`;

let installation: TestInstallation;
const tenantId = () => randomUUID() as TenantId;

beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("notes", [notes])]);
});
afterAll(() => installation.close());

/** Writes a row as the tenant and reads it back. */
async function useAs(tenant: TenantId, { database, schema, role }: Placement): Promise<unknown> {
  const client = await installation.open("app", database);
  await client.query("select set_config('app.current_tenant_id', $1, false)", [tenant]);
  await client.query("select set_config('search_path', $1, false)", [schema]);
  if (role !== undefined) await client.query("select set_config('role', $1, false)", [role]);
  await client.query("insert into notes (text) values ('mine')");
  const { rows } = await client.query("select text, current_user as login from notes");
  return rows;
}

const exists = (name: string) =>
  withOwner(
    installation.connect,
    { serverId: installation.main.id, database: installation.main.database },
    async (client) => {
      const { rows } = await client.query<{ what: string }>(
        `select 'database' as what from pg_database where datname = $1
       union all select 'role' from pg_roles where rolname = $1
       union all select 'schema' from pg_namespace where nspname = $1 order by 1`,
        [name],
      );
      return rows.map(({ what }) => what).join(" ");
    },
  );

describe("a tenant is placed, migrated and ready", () => {
  test("in the pool, which all share", async () => {
    const [a, b] = [tenantId(), tenantId()];
    const [placeA, placeB] = [
      await installation.provisioning.place(a, { isolation: "pool" }),
      await installation.provisioning.place(b, { isolation: "pool" }),
    ];
    expect(placeA).toEqual(placeB);
    expect(placeA).toMatchObject({ schema: "data", version: 1 });
    expect(await useAs(a, placeA)).toEqual([{ text: "mine", login: "insulae_app" }]);
    expect(await useAs(b, placeB)).toEqual([{ text: "mine", login: "insulae_app" }]);
  });

  test("in a schema of its own", async () => {
    const id = tenantId();
    const placement = await installation.provisioning.place(id, { isolation: "schema" });
    expect(placement).toMatchObject({ schema: physicalName(id), version: 1 });
    expect(await useAs(id, placement)).toEqual([{ text: "mine", login: placement.role }]);
    expect(await installation.provisioning.place(id, { isolation: "schema" })).toEqual(placement);
  });

  test("in a database of its own, with a login of its own", async () => {
    const id = tenantId();
    const placement = await installation.provisioning.place(id, { isolation: "database" });
    const name = physicalName(id);
    expect(placement).toMatchObject({ database: name, schema: "data", version: 1 });
    expect(await useAs(id, placement)).toEqual([{ text: "mine", login: name }]);
  });

  test("in databases, several concurrently, while the template does not exist yet", async () => {
    const ids = Array.from({ length: 6 }, tenantId);
    const placements = await Promise.all(
      ids.map((id) => installation.provisioning.place(id, { isolation: "database" })),
    );
    expect(new Set(placements.map(({ database }) => database)).size).toBe(6);
  });
});

describe("a tenant database's login can't connect to another database (attack 18)", () => {
  const logIn = async (database: string, user: string) => {
    const { servers, main, secrets } = installation;
    const config = await servers.connectionConfig({ serverId: main.id, database, role: "app" });
    const client = new pg.Client({ ...config, user, password: secrets.rolePassword(user) });
    return client
      .connect()
      .then(
        () => "connected",
        (error: pg.DatabaseError) => error.code,
      )
      .finally(() => client.end());
  };

  test("each login, each database", async () => {
    const [a, b] = [
      await installation.provisioning.place(tenantId(), { isolation: "database" }),
      await installation.provisioning.place(tenantId(), { isolation: "database" }),
    ];
    const main = installation.main.database;
    const matrix = [];
    for (const user of [a.database, b.database, "insulae_app", "insulae_control"]) {
      const outcomes = [];
      for (const database of [a.database, b.database, main])
        outcomes.push(await logIn(database, user));
      matrix.push(outcomes);
    }
    expect(matrix).toEqual([
      ["connected", "42501", "42501"],
      ["42501", "connected", "42501"],
      ["42501", "42501", "connected"],
      ["42501", "42501", "connected"],
    ]);
    // Nobody can connect to a template; 55000: the database accepts no connections.
    expect(await logIn(templateName(installation.migrations), a.database)).toBe("55000");
  });
});

test("each version has its own template, built once; the previous one is dropped", async () => {
  const { main, provisioning } = installation;
  const newer = await loadMigrations([await testFeature("notes", [`${notes} select 2;`])]);
  const next = createProvisioning({
    ...installation,
    migrations: newer,
    mainDatabase: main.database,
  });
  await provisioning.prepareTemplate(main.id);
  expect(await exists(templateName(installation.migrations))).toBe("database");
  await Promise.all([1, 2, 3].map(() => next.prepareTemplate(main.id)));
  expect(await exists(templateName(newer))).toBe("database");
  expect(await exists(templateName(installation.migrations))).toBe("");
  // An older node that still runs rebuilds its own.
  await provisioning.place(tenantId(), { isolation: "database" });
});

test("a server that lacks a feature of the database creates no place without its tables", async () => {
  const lacking = createProvisioning({
    ...installation,
    migrations: await loadMigrations([]),
    mainDatabase: installation.main.database,
  });
  for (const isolation of ["schema", "database"] as const) {
    const id = tenantId();
    await expect(lacking.place(id, { isolation })).rejects.toMatchObject({
      code: "features_missing",
      status: 503,
    });
    expect(await exists(physicalName(id))).toBe("");
  }
  // Those of the pool have all existing tables.
  await lacking.place(tenantId(), { isolation: "pool" });
});

test("two installations on one server may build the same template concurrently", async () => {
  const feature = await testFeature("notes", [`${notes} select ${Date.now()};`]);
  const both = await Promise.all([
    createTestInstallation([feature]),
    createTestInstallation([feature]),
  ]);
  await Promise.all(
    both.map(({ provisioning }) => provisioning.place(tenantId(), { isolation: "database" })),
  );
  await Promise.all(both.map((each) => each.close()));
});

describe("names", () => {
  test("derive from the tenant's id, so similar keys can't collide (attack 59)", () => {
    const id = "01900000-0000-7000-8000-00000000000a" as TenantId;
    expect(physicalName(id)).toBe("t_0190000000007000800000000000000a");
    expect(() => physicalName("t'; drop database x" as TenantId)).toThrow();
  });

  test.each([
    "",
    "Acme",
    "1acme",
    "a b",
    'a"b',
    "a'b",
    "a\nb",
    "acme\n",
    "a\0b",
    "a;b",
    "a-b",
    "ａcme",
    "a".repeat(64),
    "postgres",
    "template0",
    "template1",
    "pg_acme",
    "insulae",
    "insulae_app",
    "public",
    "data",
    "app",
    "control",
    "information_schema",
    "main",
    "t_0190000000007000800000000000000a",
  ])("that are chosen are refused if they mean something else: %j (attacks 57, 60)", (name) => {
    expect(() => chosenName(name, "main")).toThrow(
      expect.objectContaining({ code: "placement_name_invalid" }),
    );
  });

  test("that are chosen belong to one tenant, and never to another role or schema", async () => {
    const { provisioning } = installation;
    const name = `tenant_${randomUUID().slice(0, 8)}`;
    const id = tenantId();
    const placement = await provisioning.place(id, { isolation: "database", name });
    expect(await useAs(id, placement)).toEqual([{ text: "mine", login: name }]);
    for (const isolation of ["database", "schema"] as const) {
      await expect(provisioning.place(tenantId(), { isolation, name })).rejects.toMatchObject({
        code: "placement_name_taken",
      });
    }
    expect(await exists(name)).toBe("database role");
  });
});

test.each(["schema", "database"] as const)(
  "a retired %s is gone, and can be retired again",
  async (isolation) => {
    const id = tenantId();
    const placement = await installation.provisioning.place(id, { isolation });
    await installation.provisioning.retire(placement);
    await installation.provisioning.retire(placement);
    expect(await exists(physicalName(id))).toBe("");
    expect(await exists(placement.role ?? "")).toBe("");
    const row = await installation.control
      .selectFrom("control.placements")
      .select("id")
      .where("id", "=", placement.id)
      .executeTakeFirst();
    expect(row).toBeUndefined();
  },
);

test("the pool and the main database are never dropped", async () => {
  const { provisioning, main } = installation;
  const pool = await provisioning.place(tenantId(), { isolation: "pool" });
  await provisioning.retire(pool);
  await provisioning.retire({ ...pool, isolation: "database" });
  await expect(provisioning.retire({ ...pool, isolation: "schema" })).rejects.toThrow(
    "not a tenant's",
  );
  expect(await exists(main.database)).toBe("database");
});

describe("a failed creation", () => {
  /** Provisioning on a server unknown to the control plane: the row can't be written. */
  const failing = () => {
    const { connect, main } = installation;
    const pick = async () => ({ ...(await installation.servers.pick()), id: randomUUID() });
    return createProvisioning({
      ...installation,
      connect: (target) => connect({ ...target, serverId: main.id }),
      servers: { ...installation.servers, pick },
      mainDatabase: main.database,
    });
  };

  test.each(["schema", "database"] as const)("of a %s leaves nothing behind", async (isolation) => {
    const id = tenantId();
    await expect(failing().place(id, { isolation })).rejects.toThrow("foreign key");
    expect(await exists(physicalName(id))).toBe("");
  });

  test("that is a crash is found afterwards, and the tenant can be placed again", async () => {
    const { control, provisioning } = installation;
    const [a, b, c] = [tenantId(), tenantId(), tenantId()];
    // It is the first role created for a schema.
    const onlyRole = physicalName(c);
    await withOwner(
      installation.connect,
      { serverId: installation.main.id, database: installation.main.database },
      (client) => ensureSchemaRole(client, onlyRole),
    );
    const placements = [
      await provisioning.place(a, { isolation: "schema" }),
      await provisioning.place(b, { isolation: "database" }),
    ];
    for (const { id } of placements) {
      await control.deleteFrom("control.placements").where("id", "=", id).execute();
    }
    const orphans = await provisioning.findOrphans([installation.main.id]);
    expect(orphans.map(({ database, schema }) => `${database} ${schema}`).sort()).toEqual(
      [...placements, { database: installation.main.database, schema: onlyRole }]
        .map(({ database, schema }) => `${database} ${schema}`)
        .sort(),
    );
    const again = await provisioning.place(b, { isolation: "database" });
    expect(await useAs(b, again)).toEqual([{ text: "mine", login: physicalName(b) }]);
    for (const orphan of await provisioning.findOrphans([installation.main.id]))
      await provisioning.retire(orphan);
    expect(await provisioning.findOrphans([installation.main.id])).toEqual([]);
  });
});
