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
 * The role that uses a tenant's schema; `app.schema_user` says the same in SQL. It is a hash because
 * roles are the whole server's, and a schema's name is one database's.
 */
export const schemaRole = (database: string, schema: string): string =>
  `s_${createHash("sha256").update(`${database}/${schema}`).digest("hex").slice(0, 32)}`;

const restricted = "nosuperuser nobypassrls nocreatedb nocreaterole noreplication";

/**
 * Makes the roles of a server, or sets them right. Nodes that start together may all do it.
 *
 * @param client the administrator: a superuser, or a role with CREATEROLE and CREATEDB.
 * @throws Error if the administrator lacks the right; the message says which. AppError 409 `roles_taken`
 *   if they are another installation's.
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
      // From PostgreSQL 16 on, whoever made a role may grant it but is not in it.
      await client.query(`
        do $$ begin
          if not pg_has_role(current_user, '${ownerRole}', 'usage') then
            execute format('grant ${ownerRole} to %I', current_user);
          end if;
        end $$`);
    }),
  );
}

/** Databases that every server has, and in which nobody but its administrators has business. */
const everyServers = ["postgres", "template1"];

/** Lets only those connect to them who were named, if the administrator may decide that. */
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

/** Databases that let everybody in, or make temporary tables, and whether the user may change that. */
const openDatabases = `
  select distinct datname,
    pg_has_role(current_user, datdba, 'usage') as closable
  from pg_database
  cross join aclexplode(coalesce(datacl, acldefault('d', datdba))) acl
  where datallowconn and acl.grantee = 0 and acl.privilege_type in ('CONNECT', 'TEMPORARY')`;

/** The databases of the server that let everybody connect: tenants' logins, too. */
export async function findOpenDatabases(client: pg.ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select datname as name from (${openDatabases}) open order by 1`,
  );
  return rows.map(({ name }) => name);
}

/**
 * Makes the login of a tenant's own database; `name` is the database's. One statement to be run where
 * the caller has a transaction.
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
 * Gives the logins the settings with which they connect through a pooler, tenants' own logins too.
 *
 * @param client the administrator.
 * @param mark of the tenants' logins.
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

/** Gives logins the settings of `insulae_app`, where they lack one. */
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

/** PostgreSQL 15 knows inheritance of a role's whole membership only: it is NOINHERIT that counts. */
async function createSchemasRole(client: pg.ClientBase): Promise<void> {
  await createRole(client, schemasRole, "nologin noinherit");
  // Later versions look through all that is inherited: they needn't look through a thousand roles.
  await client.query(`
    do $$ begin
      execute 'grant ${schemasRole} to ${appRole}' || case
        when current_setting('server_version_num')::integer >= 160000 then ' with inherit false'
        else ''
      end;
    end $$`);
}

/** What the schema's name follows in the mark of its role: whose it is, among others on the server. */
export const schemaMark = (database: string): string => `Schema of ${database}: `;

/**
 * Makes the role that uses a tenant's schema, if it isn't there.
 *
 * @param client the administrator, in the schema's database.
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
      // A server that was added by an earlier version doesn't have it.
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

/** Runs something as the administrator in another database of the same server. */
export type InDatabase = (
  database: string,
  fn: (client: pg.Client) => Promise<void>,
) => Promise<void>;

/**
 * Drops a tenant's login, and whatever it has made for itself in databases that let it in.
 *
 * @param client the administrator; the login's own database is gone.
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

/** @param client the administrator; what the role could use is gone. */
export async function dropRole(client: pg.Client, name: string): Promise<void> {
  await retryConcurrent(async () => {
    await client.query(`drop role if exists ${pg.escapeIdentifier(name)}`);
  });
}

/** The statements that let only the named roles connect to a database. */
export function restrictDatabase(database: string, roles: readonly string[]): string {
  const name = pg.escapeIdentifier(database);
  return `
    revoke all on database ${name} from public;
    grant connect, create on database ${name} to ${ownerRole};
    grant connect on database ${name} to ${roles.map((role) => pg.escapeIdentifier(role)).join(", ")}`;
}

/**
 * Makes a database fit to hold tenants' rows or the control plane: only `roles` may connect, and
 * nobody may make objects in `public`, or large objects.
 *
 * @param client the administrator, in that database.
 */
export async function prepareDatabase(client: pg.Client, roles: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ database: string; owner: string; owned: boolean }>(`
    select datname as database, pg_get_userbyid(datdba) as owner,
      pg_has_role(current_user, datdba, 'usage') as owned
    from pg_database where datname = current_database()`);
  const [current] = rows;
  if (!current) throw new Error("the current database is not in the catalogue");
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
  // Only a superuser may so much as mention these attributes of a role that exists.
  const [existing] = rows;
  if (!existing) await client.query(`create role ${role} ${restricted} ${options}`);
  else if (existing.unsafe) await client.query(`alter role ${role} ${restricted} ${options}`);
  else await client.query(`alter role ${role} nocreatedb nocreaterole ${options}`);
}

const loginOptions = (secrets: Secrets, role: string): string =>
  `login inherit password ${pg.escapeLiteral(scramVerifier(secrets, role))}`;

/** What PostgreSQL stores of a password (RFC 5803); the salt is derived, so it is always the same. */
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
 * Roles and databases belong to the whole server, and advisory locks to one database: two nodes that
 * work through different databases can still meet in a catalogue row, and one of them then gets one
 * of these errors.
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
    error.code === "40P01"); // grants to two roles, in either order: one of them goes again
