/**
 * The roles of a server, and who may connect to which database.
 *
 * | role              | logs in | what it may do                                                    |
 * |-------------------|---------|-------------------------------------------------------------------|
 * | `insulae_owner`   | no      | owns all that migrations make                                     |
 * | `insulae_data`    | no      | the group that tenant tables grant to                             |
 * | `insulae_app`     | yes     | in `insulae_data`; connects to the main database, uses the pool   |
 * | `s_<32 hex>`      | no      | in `insulae_data`; uses one tenant's schema                       |
 * | `insulae_schemas` | no      | may become any `s_…`, and has no right of theirs (NOINHERIT)      |
 * | `t_<32 hex>`      | yes     | in `insulae_data`; connects to the tenant database of that name   |
 * | `insulae_control` | yes     | the schema `control` of the main database                         |
 *
 * So a tenant database's login has no way into another database, and a stolen one opens one tenant.
 * `insulae_app` is in `insulae_schemas`: the scope of a statement in a schema takes on the schema's
 * role, and without it the schema can't so much as be named.
 * Passwords are derived from the master secret; the server is given their SCRAM verifiers, so that no
 * password is ever part of a statement.
 */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import type { SessionSettings } from "../engine/session-settings.ts";
import type { Secrets } from "../lib/secrets.ts";
import { claimRoles, markToSet } from "./role-claim.ts";

export const ownerRole = "insulae_owner";
export const dataRole = "insulae_data";
export const appRole = "insulae_app";
export const controlRole = "insulae_control";
export const schemasRole = "insulae_schemas";

/**
 * The role that uses a tenant's schema; `app.schema_user` is the same in SQL. A hash, because roles
 * belong to the whole server and a schema's name to one database.
 */
export const schemaRole = (database: string, schema: string): string =>
  `s_${createHash("sha256").update(`${database}/${schema}`).digest("hex").slice(0, 32)}`;

const restricted = "nosuperuser nobypassrls nocreatedb nocreaterole noreplication";

/**
 * Creates or corrects a server's roles. Safe to run on several nodes at once.
 *
 * @param client the administrator: a superuser, or a role with CREATEROLE and CREATEDB
 * @throws Error if the administrator lacks a privilege, which the message names; AppError 409
 * `roles_taken` if the roles are another installation's
 */
export async function prepareServer(client: pg.Client, secrets: Secrets): Promise<void> {
  await assertAdministrator(client);
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await client.query("select pg_advisory_xact_lock(hashtextextended('insulae roles', 0))");
      const mark = await markToSet(client, secrets);
      await createRole(client, ownerRole, "nologin");
      await createRole(client, dataRole, "nologin");
      await createRole(client, appRole, loginOptions(secrets, appRole));
      await createRole(client, controlRole, loginOptions(secrets, controlRole));
      if (mark !== undefined) await claimRoles(client, mark);
      await client.query(`grant ${dataRole} to ${appRole}`);
      await createSchemasRole(client);
      await closeDatabases(client);
      // From PostgreSQL 16, the creator of a role may grant it but is not a member.
      await client.query(`
        do $$ begin
          if not pg_has_role(current_user, '${ownerRole}', 'usage') then
            execute format('grant ${ownerRole} to %I', current_user);
          end if;
        end $$`);
    }),
  );
}

/** Databases that every server has, for administrators only. */
const everyServers = ["postgres", "template1"];

/** Revokes public access to them, if the administrator may do so. */
async function closeDatabases(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select datname as name from (${openDatabases}) open
     where closable and datname = any($1)`,
    [everyServers],
  );
  for (const { name } of rows) {
    await client.query(
      `revoke connect, temporary on database ${pg.escapeIdentifier(name)} from public`,
    );
  }
}

/**
 * Databases where everybody may connect or create temporary tables, and whether the user may change
 * that.
 */
const openDatabases = `
  select distinct datname,
    pg_has_role(current_user, datdba, 'usage') as closable
  from pg_database
  cross join aclexplode(coalesce(datacl, acldefault('d', datdba))) acl
  where datallowconn and acl.grantee = 0 and acl.privilege_type in ('CONNECT', 'TEMPORARY')`;

/** The databases that everybody, including tenants' logins, can connect to. */
export async function findOpenDatabases(client: pg.ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select datname as name from (${openDatabases}) open order by 1`,
  );
  return rows.map(({ name }) => name);
}

/**
 * Creates the login of a tenant's own database; both have the same `name`. Call it in a
 * transaction.
 */
export async function createTenantLogin(
  client: pg.ClientBase,
  secrets: Secrets,
  name: string,
): Promise<void> {
  await createRole(client, name, loginOptions(secrets, name));
  await client.query(`grant ${dataRole} to ${pg.escapeIdentifier(name)}`);
  await copySettings(client, "rolname = $1", name);
}

/**
 * Stores on the logins, including tenants' own, the settings for connections through a pooler.
 *
 * @param client the administrator
 * @param mark the mark of the tenants' logins
 */
export async function setRoleSettings(
  client: pg.Client,
  settings: { readonly app: SessionSettings; readonly control: SessionSettings },
  mark: string,
): Promise<void> {
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await client.query("select pg_advisory_xact_lock(hashtextextended('insulae roles', 0))");
      await setSettings(client, appRole, Object.entries(settings.app));
      await setSettings(client, controlRole, Object.entries(settings.control));
      await copySettings(client, "shobj_description(oid, 'pg_authid') = $1", mark);
    }),
  );
}

/** Copies the settings of `insulae_app` to logins that lack them. */
async function copySettings(client: pg.ClientBase, logins: string, value: string): Promise<void> {
  const settingsOf = (role: string) =>
    `coalesce((select setconfig from pg_db_role_setting where setrole = ${role} and setdatabase = 0), '{}')`;
  const { rows } = await client.query<{ name: string; settings: string[] }>(
    `select rolname as name, ${settingsOf(`to_regrole('${appRole}')`)} as settings
     from pg_roles
     where rolcanlogin and ${logins}
       and not ${settingsOf("oid")} @> ${settingsOf(`to_regrole('${appRole}')`)}`,
    [value],
  );
  for (const { name, settings } of rows) {
    const entries = settings.map((setting) => {
      const [key = "", ...rest] = setting.split("=");
      return [key, rest.join("=")] as const;
    });
    await setSettings(client, name, entries);
  }
}

async function setSettings(
  client: pg.ClientBase,
  role: string,
  settings: readonly (readonly [string, string | number])[],
): Promise<void> {
  const alter = `alter role ${pg.escapeIdentifier(role)}`;
  const statements = settings.map(
    ([name, value]) =>
      `${alter} set ${pg.escapeIdentifier(name)} = ${pg.escapeLiteral(String(value))}`,
  );
  await client.query(statements.join(";\n"));
}

/** PostgreSQL 15 supports inheritance only per role, so NOINHERIT is what matters there. */
async function createSchemasRole(client: pg.ClientBase): Promise<void> {
  await createRole(client, schemasRole, "nologin noinherit");
  // Later versions would search all inherited memberships, perhaps a thousand roles; this avoids
  // it.
  await client.query(`
    do $$ begin
      execute 'grant ${schemasRole} to ${appRole}' || case
        when current_setting('server_version_num')::integer >= 160000 then ' with inherit false'
        else ''
      end;
    end $$`);
}

/**
 * The mark of a schema's role, followed by the schema's name; distinguishes databases of a server.
 */
export const schemaMark = (database: string): string => `Schema of ${database}: `;

/**
 * Creates the role of a tenant's schema, if missing.
 *
 * @param client the administrator, in the schema's database
 */
export async function ensureSchemaRole(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ database: string; name: string; ready: boolean }>(
    `select current_database() as database, app.schema_user($1) as name, exists (
       select from pg_auth_members
       where roleid = to_regrole(app.schema_user($1)::text) and member = to_regrole($2)
     ) as ready`,
    [schema, schemasRole],
  );
  const [role] = rows;
  if (!role || role.ready) return;
  const mark = pg.escapeLiteral(schemaMark(role.database) + schema);
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await client.query("select pg_advisory_xact_lock(hashtextextended('insulae roles', 0))");
      // Servers added by an earlier version lack it.
      await createSchemasRole(client);
      await createRole(client, role.name, "nologin inherit");
      await client.query(
        `grant ${dataRole} to ${role.name};
         comment on role ${role.name} is ${mark};
         grant ${role.name} to ${schemasRole}`,
      );
    }),
  );
}

/** Runs a function as the administrator in another database of the same server. */
export type InDatabase = (
  database: string,
  fn: (client: pg.Client) => Promise<void>,
) => Promise<void>;

/**
 * Drops a tenant's login, and everything it owns in databases that it could connect to.
 *
 * @param client the administrator; the login's own database is already dropped
 */
export async function dropLogin(
  client: pg.Client,
  name: string,
  inDatabase: InDatabase,
): Promise<void> {
  const { rows: found } = await client.query("select from pg_roles where rolname = $1", [name]);
  if (found.length === 0) return;
  const role = pg.escapeIdentifier(name);
  await retryConcurrent(async () => {
    await client.query(`alter role ${role} nologin`);
  });
  await client.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where usename = $1 and pid <> pg_backend_pid()`,
    [name],
  );
  const { rows } = await client.query<{ database: string }>(
    `select distinct datname as database
     from pg_shdepend
     join pg_database b on b.oid = dbid
     where refclassid = 'pg_authid'::regclass and datallowconn
       and refobjid = (select oid from pg_roles where rolname = $1)`,
    [name],
  );
  for (const { database } of rows) {
    await inDatabase(database, async (other) => {
      await other.query(`drop owned by ${role} cascade`);
    });
  }
  await dropRole(client, name);
}

/** @param client the administrator; the role's objects are already dropped */
export async function dropRole(client: pg.Client, name: string): Promise<void> {
  await retryConcurrent(async () => {
    await client.query(`drop role if exists ${pg.escapeIdentifier(name)}`);
  });
}

/** Statements that allow only the given roles to connect to a database. */
export function restrictDatabase(database: string, roles: readonly string[]): string {
  const name = pg.escapeIdentifier(database);
  return `
    revoke all on database ${name} from public;
    grant connect, create on database ${name} to ${ownerRole};
    grant connect on database ${name} to ${roles.map((role) => pg.escapeIdentifier(role)).join(", ")}`;
}

/**
 * Secures a database for tenants' rows or the control plane: only `roles` may connect, and nobody
 * may create objects in `public`, or large objects.
 *
 * @param client the administrator, in that database
 */
export async function prepareDatabase(client: pg.Client, roles: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ database: string; owner: string; owned: boolean }>(`
    select datname as database, pg_get_userbyid(datdba) as owner,
      pg_has_role(current_user, datdba, 'usage') as owned
    from pg_database where datname = current_database()`);
  const [current] = rows;
  if (!current) throw new Error("the current database is not in pg_database");
  if (!current.owned) {
    throw new Error(
      `the administrator must own the database ${current.database} (its owner is ${current.owner})`,
    );
  }
  await retryConcurrent(() =>
    inTransaction(client, async () => {
      await client.query("select pg_advisory_xact_lock(hashtextextended('insulae roles', 0))");
      await client.query(restrictDatabase(current.database, roles));
      await client.query(`
        do $$ begin
          if exists (
            select from pg_namespace
            where nspname = 'public' and has_schema_privilege('public', oid, 'create')
          ) then
            revoke create on schema public from public;
          end if;
          -- Large objects belong to roles, not to tenants. Only a superuser may forbid them.
          if (select rolsuper from pg_roles where rolname = current_user) then
            revoke execute on function
              lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_unlink(oid),
              lo_open(oid, integer), lo_get(oid), lo_get(oid, bigint, integer),
              lo_put(oid, bigint, bytea)
              from public;
          end if;
        end $$`);
    }),
  );
}

async function assertAdministrator(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; able: boolean; version: number }>(`
    select rolname as name, rolsuper or rolcreaterole and rolcreatedb as able,
      current_setting('server_version_num')::integer as version
    from pg_roles where rolname = current_user`);
  const [administrator] = rows;
  if (!administrator?.able) {
    throw new Error(
      `the role ${administrator?.name} must be a superuser, or have CREATEROLE and CREATEDB ` +
        `(alter role ${administrator?.name} createrole createdb)`,
    );
  }
  if (administrator.version < 150000) throw new Error("PostgreSQL 15 or later is needed");
}

async function createRole(client: pg.ClientBase, name: string, options: string): Promise<void> {
  const { rows } = await client.query<{ unsafe: boolean }>(
    `select rolsuper or rolbypassrls or rolreplication as unsafe from pg_roles where rolname = $1`,
    [name],
  );
  const role = pg.escapeIdentifier(name);
  // Only a superuser may mention these attributes for an existing role.
  const [existing] = rows;
  if (!existing) await client.query(`create role ${role} ${restricted} ${options}`);
  else if (existing.unsafe) await client.query(`alter role ${role} ${restricted} ${options}`);
  else await client.query(`alter role ${role} nocreatedb nocreaterole ${options}`);
}

const loginOptions = (secrets: Secrets, role: string): string =>
  `login inherit password ${pg.escapeLiteral(scramVerifier(secrets, role))}`;

/** The verifier that PostgreSQL stores (RFC 5803). Its salt is derived, so it is deterministic. */
function scramVerifier(secrets: Secrets, role: string): string {
  const iterations = 4096;
  const salt = secrets.derive(`role-salt:${role}`, 16);
  const salted = pbkdf2Sync(secrets.rolePassword(role), salt, iterations, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/**
 * Roles and databases belong to the whole server, advisory locks to one database. Two nodes in
 * different databases can therefore collide on a catalogue row; one of them then gets one of these
 * errors.
 */
export async function retryConcurrent<Result>(fn: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fn();
    } catch (error) {
      if (!isConcurrentChange(error) || attempt >= 10) throw error;
      await sleep(20 * attempt * (0.5 + Math.random()));
    }
  }
}

const isConcurrentChange = (error: unknown): boolean =>
  error instanceof pg.DatabaseError &&
  ((error.code === "XX000" && /concurrently (updated|deleted)/.test(error.message)) ||
    (error.code === "23505" && /^pg_/.test(error.table ?? "")) ||
    error.code === "42710" ||
    error.code === "40P01"); // grants to two roles in opposite orders: one of them retries
