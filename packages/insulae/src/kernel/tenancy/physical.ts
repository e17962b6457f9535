/**
 * Creates and drops the databases, schemas and logins behind placements: DDL as the administrator.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { Migrations } from "../schema/migration-files.ts";
import { migratePlacement } from "../schema/migrator.ts";
import {
  createTenantLogin,
  dropLogin,
  dropRole,
  type InDatabase,
  ownerRole,
  restrictDatabase,
  retryConcurrent,
  schemaRole,
} from "../schema/roles.ts";
import { dropDatabase } from "../schema/template.ts";
import type { Place } from "./placements.ts";

/** The name of the tenant's own database or schema. */
export const nameOf = (place: Place): string =>
  place.isolation === "schema" ? place.schema : place.database;

/** How long to wait while another process creates or removes the place. */
const lockWaitMs = 60_000;

/**
 * Runs `fn` under the place's lock, so that nobody else creates or removes it; see `isLocked`.
 * Gives up after a minute if the lock's holder hangs, so that work on other places can go on.
 */
export async function withNameLock<Result>(
  client: pg.Client,
  place: Place,
  fn: () => Promise<Result>,
): Promise<Result> {
  const key = lockKey(place);
  // A session-level lock: it outlives the transaction that limits the wait.
  await inTransaction(client, async () => {
    await client.query(`set local lock_timeout = ${lockWaitMs}`);
    await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [key]);
  });
  try {
    return await fn();
  } finally {
    await client
      .query("select pg_advisory_unlock(hashtextextended($1, 0))", [key])
      .catch(() => undefined);
  }
}

/** Whether somebody is creating or removing the place now. */
export async function isLocked(client: pg.Client, place: Place): Promise<boolean> {
  const { rows } = await client.query<{ free: boolean }>(
    `select free and pg_advisory_unlock(key) as free
     from (select key, pg_try_advisory_lock(key) as free from hashtextextended($1, 0) key) l`,
    [lockKey(place)],
  );
  return rows[0]?.free !== true;
}

const lockKey = (place: Place): string => `insulae place ${nameOf(place)}`;

/** Whether a database, a role or (in the current database) a schema has the name. */
export async function isTaken(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(
    `select exists (select from pg_database where datname = $1)
       or exists (select from pg_roles where rolname = $1)
       or exists (select from pg_namespace where nspname = $1) as taken`,
    [name],
  );
  return rows[0]?.taken ?? false;
}

export async function makeSchema(
  client: pg.Client,
  name: string,
  migrations: Migrations,
): Promise<void> {
  await migratePlacement(client, name, migrations, { create: true });
}

export interface MakeDatabaseOptions {
  readonly mainDatabase: string;
  readonly secrets: Secrets;
  /** The template's name; builds it if necessary. */
  readonly template: () => Promise<string>;
}

/**
 * Creates a copy of the template and a login for it. The login is created first, with a mark, so
 * that `findOrphans` can attribute it after a crash. Connections to the copy are disallowed until
 * its privileges are set, because a new database lets everybody connect.
 */
export async function makeDatabase(
  client: pg.Client,
  name: string,
  options: MakeDatabaseOptions,
): Promise<void> {
  const database = pg.escapeIdentifier(name);
  const mark = pg.escapeLiteral(tenantMark(options.mainDatabase));
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await createTenantLogin(client, options.secrets, name);
      await client.query(`comment on role ${database} is ${mark}`);
    }),
  );
  await copyTemplate(client, database, options.template);
  await inTransaction(client, async () => {
    await client.query(
      `${restrictDatabase(name, [name])};
       alter database ${database} allow_connections true`,
    );
  });
}

/** The mark of one installation's logins and databases, for servers shared by several. */
export const tenantMark = (mainDatabase: string): string => `Tenant of ${mainDatabase}`;

/**
 * SQLSTATEs of a template that is gone (dropped by a node of another version) or still in use (the
 * connection that built it takes a moment to close).
 */
const templateGone = "3D000";
const templateInUse = "55006";

/**
 * Copies by WAL_LOG: 40 to 150 ms. FILE_COPY took longer (160 to 340 ms) where files are synced to
 * disk, and it forces two checkpoints, which slow down everybody.
 */
async function copyTemplate(
  client: pg.Client,
  database: string,
  template: () => Promise<string>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const source = pg.escapeIdentifier(await template());
    try {
      await client.query(
        `create database ${database} template ${source} strategy wal_log
         owner ${ownerRole} allow_connections false`,
      );
      return;
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? error.code : undefined;
      if ((code !== templateGone && code !== templateInUse) || attempt >= 10) throw error;
      await sleep(20 * attempt);
    }
  }
}

/**
 * Drops a schema or database with all its contents, and its role.
 *
 * @param client the administrator, in the main database `main` of the place's server
 */
export async function removePlace(
  client: pg.Client,
  place: Place,
  main: string,
  inDatabase: InDatabase,
): Promise<void> {
  if (place.isolation === "schema") await removeSchema(client, place);
  else if (place.isolation === "database" && place.database !== main) {
    await removeDatabase(client, place.database, inDatabase);
  }
}

const ownSchemas = new Set(["app", "control", "data", "public"]);

async function removeSchema(client: pg.Client, place: Place): Promise<void> {
  const { database, schema: name } = place;
  if (ownSchemas.has(name)) throw new Error(`the schema ${name} is not a tenant's`);
  await inTransaction(client, async () => {
    await client.query(`set local role ${ownerRole}; set local lock_timeout = 10000`);
    await client.query(`drop schema if exists ${pg.escapeIdentifier(name)} cascade`);
    await client.query("delete from app.migrations where schema = $1", [name]);
  });
  await dropRole(client, schemaRole(database, name));
}

async function removeDatabase(
  client: pg.Client,
  name: string,
  inDatabase: InDatabase,
): Promise<void> {
  const role = pg.escapeIdentifier(name);
  // A non-superuser must be a member of the role to terminate its sessions.
  await client.query(`
    do $$ begin
      if to_regrole(${pg.escapeLiteral(role)}) is not null
        and not pg_has_role(current_user, ${pg.escapeLiteral(name)}, 'usage') then
        execute format('grant %I to %I', ${pg.escapeLiteral(name)}, current_user);
      end if;
    end $$`);
  await dropDatabase(client, name);
  await dropLogin(client, name, inDatabase);
}
