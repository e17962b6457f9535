import { existsSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import type { Application } from "../app/app-api.ts";
import type { Config } from "../config/config.ts";
import { type Check, failure, look, ok, warning } from "../doctor/check.ts";
import { checkConnections } from "../doctor/connections.ts";
import { startEmbedded } from "../embedded-postgres/supervisor.ts";
import { openClient } from "../kernel/engine/connect.ts";
import { checkTenants } from "./doctor-tenants.ts";

/** Checks the main database. */
export async function checkDatabase(
  config: Config,
  application: Application,
): Promise<readonly Check[]> {
  const url = config.databaseDirectUrl ?? config.databaseUrl;
  if (url !== undefined) return checkServer(config, application, url);
  if (!existsSync(join(config.dataDir, "postgres", "cluster.json"))) {
    return [ok("database", "there is none yet; the first start creates it")];
  }
  return look("database", "see postgres/postgres.log in the data folder", async () => {
    const { url, stop } = await startEmbedded({ dataDir: config.dataDir });
    try {
      return await checkServer(config, application, url);
    } finally {
      await stop();
    }
  });
}

const connectTimeoutMs = 5_000;

async function checkServer(
  config: Config,
  application: Application,
  url: string,
): Promise<readonly Check[]> {
  const checks = await look(
    "database",
    "check that it runs and that DATABASE_URL is right",
    async () => {
      const client = await openClient({
        ...parseIntoClientConfig(url),
        application_name: "insulae doctor",
        connectionTimeoutMillis: connectTimeoutMs,
      });
      try {
        return [
          await checkVersion(client),
          await checkAdministrator(client),
          await checkClock(client),
          await checkConnections(client, "main", config.databaseConnections),
        ];
      } finally {
        await client.end();
      }
    },
  );
  if (checks.some(({ state }) => state === "failure")) return checks;
  return [...checks, ...(await checkTenants(config, application, url))];
}

async function checkVersion(client: pg.Client): Promise<Check> {
  const { rows } = await client.query<{ number: number; version: string; database: string }>(
    `select current_setting('server_version_num')::integer as number,
       current_setting('server_version') as version, current_database() as database`,
  );
  const [{ number, version, database } = { number: 0, version: "?", database: "?" }] = rows;
  const message = `PostgreSQL ${version}, database ${database}`;
  return number >= 150_000
    ? ok("database", message)
    : failure("database", `${message}is too old`, "use PostgreSQL 15 or later");
}

async function checkAdministrator(client: pg.Client): Promise<Check> {
  const name = "administrator";
  const { rows } = await client.query<{
    role: string;
    able: boolean;
    owner: string;
    owns: boolean;
  }>(
    `select current_user as role, r.rolsuper or r.rolcreaterole and r.rolcreatedb as able,
       pg_get_userbyid(d.datdba) as owner, pg_has_role(current_user, d.datdba, 'usage') as owns
     from pg_roles r, pg_database d
     where r.rolname = current_user and d.datname = current_database()`,
  );
  const [found] = rows;
  if (!found?.able) {
    const role = found?.role ?? "the role in DATABASE_URL";
    const message = `${role} may not create roles and databases`;
    return failure(name, message, `as a superuser: alter role ${role} createrole createdb`);
  }
  if (!found.owns) {
    const message = `${found.role} is not the owner of the database (${found.owner} is)`;
    return failure(name, message, `as a superuser: alter database … owner to ${found.role}`);
  }
  return ok(name, `${found.role} may create roles and databases`);
}

/** Tokens contain expiry times, so the clocks of nodes and database must agree. */
async function checkClock(client: pg.Client): Promise<Check> {
  const asked = Date.now();
  const { rows } = await client.query<{ ms: number }>(
    "select extract(epoch from clock_timestamp())::float8 * 1000 as ms",
  );
  const here = (asked + Date.now()) / 2;
  const skew = ((rows[0]?.ms ?? here) - here) / 1000;
  const message = `the database's clock is ${Math.abs(skew).toFixed(2)} s ${skew < 0 ? "behind" : "ahead"}`;
  if (Math.abs(skew) < 2) return ok("clock", message);
  const remedy = "synchronise both machines with NTP";
  return Math.abs(skew) < 30
    ? warning("clock", message, remedy)
    : failure("clock", message, remedy);
}
