/**
 * An installation without HTTP, for database tests: a main database of its own, booted with
 * migrations that the test writes, and the kernel's services on it.
 */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { type Connect, connectDirectly, openClient } from "../kernel/engine/connect.ts";
import type { DatabaseRole } from "../kernel/engine/target.ts";
import { createSecrets, type Secrets } from "../kernel/lib/secrets.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
import {
  loadMigrations,
  type MigrationSource,
  type Migrations,
} from "../kernel/schema/migration-files.ts";
import { schemaMark } from "../kernel/schema/roles.ts";
import { templateMark } from "../kernel/schema/template.ts";
import { tenantMark } from "../kernel/tenancy/physical.ts";
import { bootMainServer, type MainServer } from "../kernel/tenancy/prepare.ts";
import { createProvisioning, type Provisioning } from "../kernel/tenancy/provisioning.ts";
import { createServers, type Servers } from "../kernel/tenancy/servers.ts";
import { createTestDatabase } from "./test-database.ts";
import { testMasterSecret } from "./test-secret.ts";

export interface TestInstallation {
  readonly url: string;
  readonly main: MainServer;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  readonly control: Kysely<ControlTables>;
  readonly servers: Servers;
  readonly connect: Connect;
  readonly provisioning: Provisioning;
  /**
   * A client logged in as the role; closed with the installation. Default: the app in the main
   * database.
   */
  open(role?: DatabaseRole, database?: string): Promise<pg.Client>;
  close(): Promise<void>;
}

/** A feature called `name` with these migrations, numbered from 1. */
export async function testFeature(
  name: string,
  texts: readonly string[],
  dependsOn: readonly string[] = [],
): Promise<MigrationSource> {
  const folder = await mkdtemp(join(tmpdir(), "insulae-migrations-"));
  for (const [index, text] of texts.entries()) {
    const whole = /^-- down$/m.test(text) ? text : `${text}\n-- down\n-- nobody takes it back\n`;
    await writeFile(join(folder, `${String(index + 1).padStart(4, "0")}_${name}.sql`), whole);
  }
  const tables = [...texts.join("\n").matchAll(/\btenant_table\('(\w+)'/g)].map(
    ([, table = ""]) => table,
  );
  return {
    name,
    dependsOn,
    migrations: pathToFileURL(`${folder}/`),
    tables: [...new Set(tables)],
  };
}

/**
 * @param administratorUrl an existing database and user; default: a new database on the test
 * server, as its superuser
 */
export async function createTestInstallation(
  features: readonly MigrationSource[],
  administratorUrl?: string,
): Promise<TestInstallation> {
  const database = administratorUrl ? undefined : await createTestDatabase();
  const url = administratorUrl ?? database?.url ?? "";
  const secrets = createSecrets(testMasterSecret);
  const migrations = await loadMigrations(features);
  const main = await bootMainServer({ url, secrets, migrations });
  const settings = { statementTimeoutMs: 10_000, idleInTransactionTimeoutMs: 0, lockTimeoutMs: 0 };

  const target = { serverId: main.id, database: main.database };
  const control: Kysely<ControlTables> = new Kysely({
    dialect: new PostgresDialect({
      pool: async () =>
        new pg.Pool({
          ...(await servers.connectionConfig({ ...target, role: "control" })),
          max: 4,
        }),
    }),
  });
  const servers = createServers({ control, main, migrations, secrets, settings });
  const connect = connectDirectly(servers.connectionConfig);
  const provisioning = createProvisioning({
    control,
    connect,
    servers,
    migrations,
    secrets,
    mainDatabase: main.database,
  });
  const clients: pg.Client[] = [];

  return {
    url,
    main,
    migrations,
    secrets,
    control,
    servers,
    connect,
    provisioning,
    async open(role = "app", name = main.database) {
      const config = await servers.connectionConfig({ ...target, database: name, role });
      const client = await openClient(config);
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all(clients.map((client) => client.end()));
      await control.destroy();
      await dropTenantDatabases(url, main.database);
      await database?.drop();
    },
  };
}

/** The databases and roles provisioned for this installation, and its templates. */
async function dropTenantDatabases(url: string, main: string): Promise<void> {
  const client = await openClient({ connectionString: url });
  try {
    const { rows: tenants } = await client.query<{ name: string }>(
      "select rolname as name from pg_roles where shobj_description(oid, 'pg_authid') = $1",
      [tenantMark(main)],
    );
    for (const { name } of tenants) {
      await client.query(`drop database if exists "${name}" with (force)`);
      await client.query(`drop role "${name}"`);
    }
    const { rows: schemas } = await client.query<{ role: string }>(
      `select rolname as role from pg_roles
       where starts_with(shobj_description(oid, 'pg_authid'), $1)`,
      [schemaMark(main)],
    );
    for (const { role } of schemas) await client.query(`drop owned by ${role}; drop role ${role}`);
    const { rows: templates } = await client.query<{ name: string }>(
      `select datname as name from pg_database
       where shobj_description(oid, 'pg_database') = $1`,
      [templateMark(main)],
    );
    for (const { name } of templates) {
      await client.query(`alter database "${name}" is_template false`);
      await client.query(`drop database "${name}" with (force)`);
    }
  } finally {
    await client.end();
  }
}
