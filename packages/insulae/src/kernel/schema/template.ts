/**
 * A tenant's database is a copy of a migrated template, which takes a fraction of the time of
 * migrating. A template is named by the hash of its migrations, so an existing one is current. It
 * is built under a temporary name and renamed when finished. Then nobody can connect to it, which
 * PostgreSQL requires for copying, and which keeps it as it was verified.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Connect, inTransaction } from "../engine/connect.ts";
import { dataSchema } from "../engine/scope.ts";
import type { Migrations } from "./migration-files.ts";
import { migratePlacement } from "./migrator.ts";
import { ownerRole, prepareDatabase } from "./roles.ts";

export interface TemplateOptions {
  readonly connect: Connect;
  readonly serverId: string;
  /** Distinguishes its templates from those of other installations on the same server. */
  readonly mainDatabase: string;
  readonly migrations: Migrations;
}

export const templateName = (migrations: Migrations): string =>
  `insulae_template_${migrations.hash.slice(0, 12)}`;

/**
 * Builds the template if missing, and drops those of earlier versions.
 *
 * @param client the administrator, in the server's main database
 * @returns its name
 */
export async function ensureTemplate(client: pg.Client, options: TemplateOptions): Promise<string> {
  const name = templateName(options.migrations);
  if (await exists(client, name)) return name;

  // Bounded, so that a builder that hangs does not block everybody forever.
  await inTransaction(client, async () => {
    await client.query("set local lock_timeout = 60000");
    await client.query("select pg_advisory_lock(hashtextextended('insulae template', 0))");
  });
  try {
    if (await exists(client, name)) return name;
    const draft = `${name}_${randomBytes(4).toString("hex")}`;
    await build(client, draft, options);
    await finish(client, draft, name);
    await dropStale(client, name, options.mainDatabase);
    return name;
  } finally {
    await client
      .query("select pg_advisory_unlock(hashtextextended('insulae template', 0))")
      .catch(() => undefined);
  }
}

async function exists(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query("select from pg_database where datname = $1", [name]);
  return rows.length > 0;
}

async function build(client: pg.Client, draft: string, options: TemplateOptions): Promise<void> {
  const database = pg.escapeIdentifier(draft);
  await client.query(
    `create database ${database} template template0 encoding 'UTF8' owner ${ownerRole}`,
  );
  const mark = pg.escapeLiteral(templateMark(options.mainDatabase));
  await client.query(`comment on database ${database} is ${mark}`);
  const connection = await options.connect({
    serverId: options.serverId,
    database: draft,
    role: "owner",
  });
  try {
    await prepareDatabase(connection.client, [ownerRole]);
    await migratePlacement(connection.client, dataSchema, options.migrations, { create: true });
  } finally {
    connection.destroy();
  }
}

/** SQLSTATEs of a name that is taken (duplicate_database), or is being taken (unique_violation). */
const taken = new Set(["42P04", "23505"]);
/** The builder's connection takes a moment to close. */
const objectInUse = "55006";

async function finish(client: pg.Client, draft: string, name: string): Promise<void> {
  const database = pg.escapeIdentifier(draft);
  await client.query(`alter database ${database} allow_connections false is_template true`);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query(`alter database ${database} rename to ${pg.escapeIdentifier(name)}`);
      return;
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? (error.code ?? "") : "";
      // Another installation on this server was faster: the draft is dropped with the stale ones.
      if (taken.has(code)) return;
      if (code !== objectInUse || attempt >= 20) throw error;
      await sleep(10 * attempt);
    }
  }
}

/** Distinguishes an installation's templates from others' on the same server. */
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
    // An older node may be copying it; then the next call drops it.
    await dropDatabase(client, name).catch(() => undefined);
  }
}

/** Drops the database and terminates its connections. */
export async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
}
