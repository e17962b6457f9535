/**
 * The two ends of a move: a placement, the mover's connections to it, and its locks.
 *
 * Each end has two connections, both logged in as the administrator. `rows` reads and writes the
 * tenant's rows, always as `insulae_owner` in the tenant's scope, so that Row-Level Security checks
 * each row that is written once more. `fence` holds the locks and writes the fence.
 *
 * A mover does nothing without the session lock `insulae mover …` of both ends. Whoever takes a move
 * over ends the sessions of the one before, which are known by their name, and then gets the locks:
 * so a mover that was paused for an hour can write nothing when it wakes.
 */
import pg from "pg";
import { type Connect, type Connection, inTransaction } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { ownerRole } from "../schema/roles.ts";
import { MoveRefused } from "./move-errors.ts";

export interface MoveEnd extends TenantRows {
  readonly fence: pg.Client;
}

/** A connection to read and write the tenant's rows with. */
export interface TenantRows {
  readonly tenantId: TenantId;
  readonly place: Placement;
  readonly rows: pg.Client;
}

export interface MoveEnds {
  readonly source: MoveEnd;
  readonly target: MoveEnd;
  close(): void;
}

/** Texts must be the same at both ends, and every value must survive being one. */
const sessionSettings = {
  datestyle: "ISO, MDY",
  intervalstyle: "postgres",
  extra_float_digits: "1",
  bytea_output: "hex",
  xmloption: "content",
  statement_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
  lock_timeout: "10s",
  // Rows are found by keys. Without statistics the planner would prefer to read and hash the table.
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
};

export interface MoveToConnect {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly source: Placement;
  readonly target: Placement;
}

/** @throws Error if another session keeps a lock of the move's */
export async function openMoveEnds(connect: Connect, move: MoveToConnect): Promise<MoveEnds> {
  const { id, tenantId: tenant_id } = move;
  const source = await openMoveEnd(connect, { id, tenant_id }, move.source);
  try {
    const target = await openMoveEnd(connect, { id, tenant_id }, move.target);
    const close = () => {
      source.close();
      target.close();
    };
    return { source, target, close };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** @throws Error if another session keeps a lock of the move's */
export async function openMoveEnd(
  connect: Connect,
  { id, tenant_id: tenantId }: { readonly id: string; readonly tenant_id: TenantId },
  place: Placement,
): Promise<MoveEnd & { close(): void }> {
  const { serverId, database } = place;
  const connections: Connection[] = [];
  const close = () => {
    for (const connection of connections.splice(0)) connection.destroy();
  };
  const open = async (): Promise<pg.Client> => {
    const connection = await connect({ serverId, database, role: "owner" });
    connections.push(connection);
    const settings = Object.entries(sessionSettings).map(
      ([name, value]) => `set_config('${name}', ${pg.escapeLiteral(value)}, false)`,
    );
    await connection.client.query(`select ${settings.join(", ")}`);
    return connection.client;
  };
  try {
    const end = { tenantId, place, fence: await open(), rows: await open(), close };
    const name = `insulae move ${id} ${place.schema === "data" ? "" : "s"}`.trimEnd();
    await endOthers(end.fence, name);
    for (const client of [end.fence, end.rows]) {
      await client.query("select set_config('application_name', $1, false)", [name]);
    }
    await lockEnd(end);
    return end;
  } catch (error) {
    close();
    throw error;
  }
}

/** Ends the sessions of a mover that this one takes over from, in this database. */
async function endOthers(client: pg.Client, name: string): Promise<void> {
  await client.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where application_name = $1 and datname = current_database()`,
    [name],
  );
}

const lockHeld = "55P03";

async function lockEnd({ fence, tenantId, place: { schema } }: MoveEnd): Promise<void> {
  await fence.query("select pg_advisory_lock(hashtextextended($1, 0))", [
    `insulae mover ${tenantId}/${schema}`,
  ]);
  // A migration waits for it: it could change rows outside any scope, which nothing would capture.
  await fence
    .query("select pg_advisory_lock_shared(hashtextextended($1, 0))", [
      `insulae migrates ${schema}`,
    ])
    .catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== lockHeld) throw error;
      throw new Error(`A migration of the schema ${schema} is running. The move waits for it.`);
    });
}

/** Whether the server lets its administrator set what `write` sets. @throws MoveRefused */
export async function assertCanReplicate({ rows }: MoveEnd): Promise<void> {
  await rows
    .query("begin; set local session_replication_role = replica; rollback")
    .catch(async (error: unknown) => {
      await rows.query("rollback").catch(() => undefined);
      if ((error as { code?: unknown }).code !== "42501") throw error;
      throw new MoveRefused(
        `The target's server does not let its administrator set session_replication_role. Run as a superuser there: grant set on parameter session_replication_role to ${ownerRole};`,
      );
    });
}

const scopeOf = ({ tenantId, place }: TenantRows): string =>
  `set local role ${ownerRole};
   select set_config('app.current_tenant_id', ${pg.escapeLiteral(tenantId)}, true),
     set_config('search_path', ${pg.escapeLiteral(pg.escapeIdentifier(place.schema))}, true)`;

/** Begins to read the tenant's rows as they are now; ends with `rows.query("commit")`. */
export const beginSnapshot = (end: TenantRows): Promise<unknown> =>
  end.rows.query(`begin isolation level repeatable read read only; ${scopeOf(end)}`);

/**
 * Writes the tenant's rows in one transaction. Triggers and foreign keys have done their work at the
 * source, so they are left out; that also makes the order of the writes irrelevant.
 *
 * @param alongside runs in parallel with the commit
 */
export async function write<Result>(
  end: MoveEnd,
  fn: () => Promise<Result>,
  alongside?: () => Promise<unknown>,
): Promise<Result> {
  await end.rows.query(`begin; set local session_replication_role = replica; ${scopeOf(end)}`);
  try {
    const result = await fn();
    await Promise.all([end.rows.query("commit"), alongside?.()]);
    return result;
  } catch (error) {
    await end.rows.query("rollback").catch(() => undefined);
    throw error;
  }
}

export const tableName = ({ place }: TenantRows, table: string): string =>
  `${pg.escapeIdentifier(place.schema)}.${pg.escapeIdentifier(table)}`;

/** Values as PostgreSQL writes them: nothing is turned into a number or a date of JavaScript's. */
export const asText = { getTypeParser: () => (value: string) => value } as pg.CustomTypesConfig;

/** Runs `fn` as the owner of all tables, outside any tenant's scope. */
export const asOwner = <Result>({ fence }: MoveEnd, fn: () => Promise<Result>): Promise<Result> =>
  inTransaction(fence, async () => {
    await fence.query(`set local role ${ownerRole}`);
    return fn();
  });
