/**
 * A tenant's database is a copy of a template that is already migrated: copying takes a fraction of
 * the time of migrating. A template is named by the hash of its migrations, so one that exists is
 * current. It is built under a name that nobody looks for a template by until it is finished:
 * `is_template` is set last. Nobody can connect to a finished one, which is what PostgreSQL asks of a
 * database that is copied, and what keeps it as it was checked.
 */
import pg from "pg";
import type { Connect } from "./connect.ts";
import type { Migrations } from "./migration-files.ts";
import { migratePlacement } from "./migrator.ts";
import { ownerRole, prepareDatabase } from "./roles.ts";
import { dataSchema } from "./scope.ts";

export interface TemplateOptions {
  readonly connect: Connect;
  readonly serverId: string;
  /** Its templates are told apart by it from those of another installation on the same server. */
  readonly mainDatabase: string;
  readonly migrations: Migrations;
}

export const templateName = (migrations: Migrations): string =>
  `insulae_template_${migrations.hash.slice(0, 12)}`;

/**
 * Builds the template if it isn't there, and drops the ones of earlier versions.
 *
 * @param client the administrator, in the server's main database.
 * @returns its name.
 */
export async function ensureTemplate(client: pg.Client, options: TemplateOptions): Promise<string> {
  const name = templateName(options.migrations);
  if ((await findState(client, name)) === "ready") return name;

  await client.query("select pg_advisory_lock(hashtextextended('insulae template', 0))");
  try {
    const state = await findState(client, name);
    if (state === "ready") return name;
    if (state === "unfinished") await dropDatabase(client, name);
    await build(client, name, options);
    await dropStale(client, name, options.mainDatabase);
    return name;
  } finally {
    await client
      .query("select pg_advisory_unlock(hashtextextended('insulae template', 0))")
      .catch(() => undefined);
  }
}

async function findState(
  client: pg.Client,
  name: string,
): Promise<"ready" | "unfinished" | "missing"> {
  const { rows } = await client.query<{ ready: boolean }>(
    "select datistemplate as ready from pg_database where datname = $1",
    [name],
  );
  if (!rows[0]) return "missing";
  return rows[0].ready ? "ready" : "unfinished";
}

async function build(client: pg.Client, name: string, options: TemplateOptions): Promise<void> {
  const database = pg.escapeIdentifier(name);
  await client.query(
    `create database ${database} template template0 encoding 'UTF8' owner ${ownerRole}`,
  );
  const mark = pg.escapeLiteral(templateMark(options.mainDatabase));
  await client.query(`comment on database ${database} is ${mark}`);
  const connection = await options.connect({
    serverId: options.serverId,
    database: name,
    role: "owner",
  });
  try {
    await prepareDatabase(connection.client, [ownerRole]);
    await migratePlacement(connection.client, dataSchema, options.migrations, { create: true });
  } finally {
    connection.destroy();
  }
  await client.query(`alter database ${database} allow_connections false is_template true`);
}

/** Tells an installation's templates from those of others on the same server. */
export const templateMark = (mainDatabase: string): string =>
  `Template for the tenants' databases of ${mainDatabase}`;

async function dropStale(client: pg.Client, current: string, mainDatabase: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select datname as name
     from pg_database
     where datname like 'insulae\\_template\\_%' and datname <> $1
       and shobj_description(oid, 'pg_database') = $2`,
    [current, templateMark(mainDatabase)],
  );
  for (const { name } of rows) {
    await client.query(`alter database ${pg.escapeIdentifier(name)} is_template false`);
    // An older node may be copying it; then it is dropped the next time.
    await dropDatabase(client, name).catch(() => undefined);
  }
}

/** Drops the database, and the connections to it. */
export async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
}
