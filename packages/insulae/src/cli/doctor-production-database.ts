import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { type Check, failure, look, ok, warning } from "../doctor/check.ts";
import { openClient } from "../kernel/engine/connect.ts";
import { findOpenDatabases } from "../kernel/schema/roles.ts";

/** Checks what a production database needs to lose nothing and leak nothing. */
export const checkProductionDatabase = (url: string): Promise<readonly Check[]> =>
  look("database", "check that it runs and that DATABASE_URL is right", async () => {
    const client = await openClient({
      ...parseIntoClientConfig(url),
      application_name: "insulae doctor",
      connectionTimeoutMillis: 5_000,
    });
    try {
      return [
        await checkEncryption(client, url),
        await checkDurability(client),
        await checkArchive(client),
        await checkVacuum(client),
        await checkStatements(client),
        await checkOpenDatabases(client),
        ...(await checkAdministrators(client)),
      ];
    } finally {
      await client.end();
    }
  });

/** A host without a dot is in a container's network or this machine; others may be anywhere. */
const isNear = (host: string): boolean =>
  host === "" ||
  host.startsWith("/") ||
  host.startsWith("127.") ||
  host === "::1" ||
  /^[\w-]+$/.test(host);

async function checkEncryption(client: pg.Client, url: string): Promise<Check> {
  const name = "TLS to the database";
  const { rows } = await client.query<{ ssl: boolean; version: string }>(
    "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()",
  );
  const { host = "", ssl } = parseIntoClientConfig(url);
  const remedy = "add ?sslmode=verify-full&sslrootcert=<the authority's file> to DATABASE_URL";
  if (!rows[0]?.ssl) {
    const message = `the connection to ${host || "it"} is not encrypted`;
    if (host.startsWith("/") || host === "localhost" || host.startsWith("127.")) {
      return ok(name, "not needed on the same machine");
    }
    return isNear(host) ? warning(name, message, remedy) : failure(name, message, remedy);
  }
  if (typeof ssl === "object" && ssl.rejectUnauthorized === false) {
    return failure(name, "encrypted, but the server's certificate is not verified", remedy);
  }
  return ok(name, `${rows[0].version}, with a verified certificate`);
}

async function checkDurability(client: pg.Client): Promise<Check> {
  const name = "durability";
  const settings = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"];
  const { rows } = await client.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any($1) and setting = 'off'",
    [settings],
  );
  const off = rows.map((row) => row.name);
  const lossy = off.filter((setting) => setting !== "data_checksums");
  if (lossy.length > 0) {
    return failure(name, `${lossy.join(", ")} is off; a crash loses rows`, "turn it on");
  }
  return off.length === 0
    ? ok(name, "commits are durable and pages have checksums")
    : warning(name, "pages have no checksums", "run pg_checksums --enable while it is stopped");
}

/** Point-in-time recovery needs continuous archiving. A provider's own is not visible here. */
async function checkArchive(client: pg.Client): Promise<Check> {
  const name = "backups";
  const { rows } = await client.query<{
    provider: boolean;
    mode: string;
    archived: boolean;
    failing: boolean;
    last: string | null;
  }>(
    `select exists (select from pg_roles where rolname in
         ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')) as provider,
       current_setting('archive_mode') as mode, last_archived_time is not null as archived,
       last_failed_time > coalesce(last_archived_time, '-infinity') as failing,
       last_archived_time::text as last
     from pg_stat_archiver`,
  );
  const [found] = rows;
  const remedy = "archive the write-ahead log and rehearse a restore (docs/runbooks/restore.md)";
  if (found?.provider)
    return ok(name, "the provider makes them; check that they are on and their retention");
  if (!found || found.mode === "off") {
    return warning(name, "archive_mode is off: no point-in-time recovery", remedy);
  }
  if (found.failing)
    return failure(name, `archiving has failed since ${found.last ?? "it was enabled"}`, remedy);
  if (!found.archived) return warning(name, "nothing has been archived yet", remedy);
  return ok(name, `the log was last archived ${found.last}`);
}

async function checkVacuum(client: pg.Client): Promise<Check> {
  const name = "vacuum";
  const { rows } = await client.query<{ on: boolean; age: number }>(
    `select current_setting('autovacuum')::boolean and current_setting('track_counts')::boolean as on,
       (select max(age(datfrozenxid)) from pg_database)::integer as age`,
  );
  const [{ on, age } = { on: false, age: 0 }] = rows;
  if (!on) return failure(name, "autovacuum is off", "turn autovacuum and track_counts on");
  const message = `the oldest transaction is ${age} ago`;
  return age < 1_000_000_000
    ? ok(name, `autovacuum is on; ${message}`)
    : failure(
        name,
        message,
        "run vacuum (freeze) on the databases and find out what blocks autovacuum",
      );
}

async function checkStatements(client: pg.Client): Promise<Check> {
  const { rows } = await client.query<{ loaded: boolean }>(
    `select coalesce(current_setting('shared_preload_libraries', true), '') like '%pg_stat_statements%'
       as loaded`,
  );
  return rows[0]?.loaded
    ? ok("statements", "pg_stat_statements is loaded")
    : warning(
        "statements",
        "there are no statistics about slow statements",
        "add pg_stat_statements to shared_preload_libraries",
      );
}

/** Logins of tenants' databases must not be able to connect to other databases of the server. */
async function checkOpenDatabases(client: pg.Client): Promise<Check> {
  const name = "databases";
  const open = await findOpenDatabases(client);
  if (open.length === 0) return ok(name, "no other database lets everybody connect");
  const some = open.slice(0, 10);
  const statements = some.map(
    (database) =>
      `revoke connect, temporary on database ${pg.escapeIdentifier(database)} from public;`,
  );
  return warning(
    name,
    `everybody may connect to ${some.join(", ")}, including tenants' logins`,
    `as a superuser or the owner, after granting connect to those who need it: ${statements.join(" ")}`,
  );
}

/** Platform administrators need more than a password. */
async function checkAdministrators(client: pg.Client): Promise<readonly Check[]> {
  const name = "administrators";
  const { rows: there } = await client.query<{ there: boolean }>(
    "select to_regclass('control.factors') is not null as there",
  );
  // Another check reports a control plane that is behind.
  if (!there[0]?.there) return [];
  await client.query("begin read only; set local role insulae_owner");
  const { rows } = await client.query<{ email: string; factors: boolean }>(
    `select email, exists (select from control.factors f
         where f.tenant_id is null and f.subject_id = a.id) as factors
     from control.accounts a
     where platform_admin and is_active
     order by email`,
  );
  await client.query("rollback");
  if (rows.length === 0) {
    const remedy = "set ADMIN_EMAIL and ADMIN_PASSWORD for one start";
    return [warning(name, "there is no platform administrator", remedy)];
  }
  const bare = rows.flatMap(({ email, factors }) => (factors ? [] : [email]));
  if (bare.length === 0) return [ok(name, `all ${rows.length} have a second factor`)];
  const remedy =
    "each adds one: POST /api/v1/auth/factors/totp, or a passkey (docs/authentication.md)";
  return [warning(name, `without a second factor: ${bare.slice(0, 10).join(", ")}`, remedy)];
}
