/**
 * One step of a migration: its lock, its transaction, its SQL, and the check that the result is
 * isolated.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import type { Logger } from "../telemetry/log.ts";
import { MigrationRefused } from "./ledger.ts";

export interface MigrateOptions {
  /** How long a migration waits for a table lock; default 5 s. */
  readonly lockTimeoutMs?: number;
  /** How often a migration is tried when it can't get its locks; default 5. */
  readonly attempts?: number;
  /** How long to wait for another migrator of the same schema; default 60 s. */
  readonly waitMs?: number;
  readonly log?: Logger;
  /** Called at the start of each migration. */
  readonly note?: (text: string) => void;
}

/** @param name the migration's, for error messages */
export async function runText(client: pg.Client, text: string, name: string): Promise<void> {
  try {
    await client.query(text);
  } catch (error) {
    if (error instanceof Error) error.message = explain(name, text, error);
    throw error;
  }
}

/** SQLSTATE. */
const undefinedTable = "42P01";
const otherFeature =
  "If another feature creates it, name that feature in this one's `dependsOn`, so that its migrations run first.";

/** Names the migration and the line, with PostgreSQL's hint. */
function explain(
  name: string,
  text: string,
  error: Error & { position?: unknown; hint?: unknown; code?: unknown },
): string {
  const before = text.slice(0, Math.max(0, Number(error.position) - 1));
  const line = error.position === undefined ? "" : `, line ${before.split("\n").length}`;
  const hint = error.hint ?? (error.code === undefinedTable ? otherFeature : undefined);
  const advice = typeof hint === "string" ? `\n${hint}` : "";
  return `${name}${line}: ${error.message}${advice}`;
}

export async function assertIsolated(
  client: pg.Client,
  schema: string,
  what: string,
): Promise<void> {
  const { rows } = await client.query<{ object: string; problem: string }>(
    "select object, problem from app.isolation_problems($1)",
    [schema],
  );
  if (rows.length === 0) return;
  const list = rows.map(({ object, problem }) => `\n  ${object} ${problem}`).join("");
  throw new MigrationRefused(`${what} would leave tables that are not isolated:${list}`);
}

/** SQLSTATEs of a lock that was not available: lock_timeout, and a deadlock with the traffic. */
const lockNotAvailable = new Set(["55P03", "40P01"]);

/**
 * A transaction as the owner. `row_security = off` doesn't lift Row-Level Security; it makes
 * statements that would be filtered fail. Otherwise a migration's `update contacts …` would
 * silently change nothing, because the owner sees no tenant's rows; use `app.backfill` for that.
 */
export async function runStep(
  client: pg.Client,
  schema: string,
  options: MigrateOptions,
  step: () => Promise<void>,
): Promise<void> {
  const attempts = options.attempts ?? 5;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inTransaction(client, async () => {
        await client.query(
          `set local role insulae_owner;
           set local row_security = off;
           set local statement_timeout = 0;
           set local lock_timeout = ${options.lockTimeoutMs ?? 5000}`,
        );
        await client.query("select set_config('search_path', $1, true)", [
          pg.escapeIdentifier(schema),
        ]);
        await step();
      });
    } catch (error) {
      const locked = error instanceof pg.DatabaseError && lockNotAvailable.has(error.code ?? "");
      if (!locked || attempt >= attempts) throw error;
      options.log?.warn(
        { schema, attempt, err: error },
        "A migration could not get its locks; will retry",
      );
      await sleep(250 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}

export async function withSchemaLock<Result>(
  client: pg.Client,
  schema: string,
  options: MigrateOptions,
  fn: () => Promise<Result>,
): Promise<Result> {
  const key = `insulae migrates ${schema}`;
  // A session-level lock, because it spans transactions; lock_timeout bounds the wait.
  await inTransaction(client, async () => {
    await client.query(
      `set local lock_timeout = ${options.waitMs ?? 60_000}; set local statement_timeout = 0`,
    );
    await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [key]);
  }).catch(async (error: unknown) => {
    throw (await isMoving(client, schema)) ? new MigrationRefused(movesFirst(schema)) : error;
  });
  try {
    return await fn();
  } finally {
    await client
      .query("select pg_advisory_unlock(hashtextextended($1, 0))", [key])
      .catch(() => undefined);
  }
}

const movesFirst = (schema: string): string =>
  `A tenant is being moved from or to the schema ${schema}, which can't be migrated meanwhile. Wait until the move has ended (insulae tenant moves), or abort it, then migrate again.`;

/** Whether a mover holds the schema's lock, which it shares with other movers. */
async function isMoving(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query(
    `select from pg_locks l
     join pg_stat_activity a on a.pid = l.pid
     cross join hashtextextended($1, 0) key
     where l.locktype = 'advisory' and l.mode = 'ShareLock' and l.granted
       and a.datname = current_database() and a.application_name like 'insulae move %'
       and l.objid::bigint = key & 4294967295 and l.classid::bigint = (key >> 32) & 4294967295`,
    [`insulae migrates ${schema}`],
  );
  return rows.length > 0;
}
