/**
 * The fence of a placement: the rows in `app.moves`, and the triggers that read them. The guard lets
 * a tenant with a row write only while it is `open`; the capture notes the keys of what is written.
 *
 * A table has one trigger of each kind, with the list of the tenants that it concerns, and only while
 * there are any. The lists are those in `app.moves`. Whoever changes them holds the fence's lock.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import { ownerRole } from "../schema/roles.ts";
import { asOwner, type MoveEnd, tableName } from "./move-ends.ts";
import { MoveRefused } from "./move-errors.ts";
import type { MoveTable } from "./move-tables.ts";

export interface FenceHolder {
  readonly moveId: string;
  readonly epoch: number;
}

/** The lock that writers of the tenant share and the cut-over takes alone. */
export const writersKey = ({ tenantId, place }: MoveEnd): string =>
  `insulae move ${tenantId}/${place.schema}`;

/**
 * Begins to capture, or goes on: the row is open, and every table has its triggers. From each trigger's
 * commit on, every write is captured: it could not be made while a transaction had written to the table.
 *
 * @param anew forget what was captured before
 */
export const openFence = (
  end: MoveEnd,
  tables: readonly MoveTable[],
  holder: FenceHolder,
  anew: boolean,
): Promise<void> =>
  withFenceLock(end, async () => {
    await setFence(end, "open", holder);
    if (anew) await forgetChanges(end);
    await setTriggers(end, tables, undefined);
  });

/** Writes the fence's row. */
export const setFence = (
  end: MoveEnd,
  state: "open" | "closed",
  { moveId, epoch }: FenceHolder,
): Promise<unknown> =>
  asOwner(end, () =>
    end.fence.query(
      `insert into app.moves (tenant_id, schema, move_id, epoch, state)
       values ($1, $2, $3, $4, $5)
       on conflict (tenant_id, schema) do update
       set move_id = excluded.move_id, epoch = excluded.epoch, state = excluded.state, since = now()`,
      [end.tenantId, end.place.schema, moveId, epoch, state],
    ),
  );

/** Opens the row of a place that a tenant comes back to; there is none where it never was. */
export const reopenFence = (end: MoveEnd, { moveId, epoch }: FenceHolder): Promise<unknown> =>
  asOwner(end, () =>
    end.fence.query(
      `update app.moves set state = 'open', move_id = $3, epoch = $4, since = now()
       where tenant_id = $1 and schema = $2`,
      [end.tenantId, end.place.schema, moveId, epoch],
    ),
  );

/** Writes the triggers' lists anew, after the row has changed. */
export const refreshFence = (end: MoveEnd, tables: readonly MoveTable[]): Promise<void> =>
  withFenceLock(end, async () => {
    await setTriggers(end, tables, undefined);
    await forgetChanges(end);
  });

/** Takes the fence away: its triggers no longer name the tenant, then its row and keys go. */
export const removeFence = (end: MoveEnd, tables: readonly MoveTable[]): Promise<void> =>
  withFenceLock(end, async () => {
    await setTriggers(end, tables, end.tenantId);
    await forgetChanges(end);
    await asOwner(end, () =>
      end.fence.query("delete from app.moves where tenant_id = $1 and schema = $2", [
        end.tenantId,
        end.place.schema,
      ]),
    );
  });

/** @param seqs default: all. Never "up to": a smaller number may be committed later. */
export const forgetChanges = (end: MoveEnd, seqs?: readonly string[]): Promise<unknown> =>
  asOwner(end, () =>
    end.fence.query(
      `delete from app.move_changes
       where tenant_id = $1 and schema = $2 and ($3::bigint[] is null or seq = any ($3))`,
      [end.tenantId, end.place.schema, seqs],
    ),
  );

async function withFenceLock(end: MoveEnd, fn: () => Promise<void>): Promise<void> {
  const { fence, place } = end;
  const key = `insulae fence ${place.schema}`;
  await fence.query("select pg_advisory_lock(hashtextextended($1, 0))", [key]);
  try {
    await fn();
  } finally {
    await fence
      .query("select pg_advisory_unlock(hashtextextended($1, 0))", [key])
      .catch(() => undefined);
  }
}

/** How long writers may queue behind a trigger that waits for its table, and for how long it is tried. */
const triggerWait = { lockMs: 100, totalMs: 120_000 } as const;

/** @param without a tenant that leaves, although it has its row still */
async function setTriggers(
  end: MoveEnd,
  tables: readonly MoveTable[],
  without: string | undefined,
): Promise<void> {
  const { fence, place } = end;
  const { rows } = await asOwner(end, () =>
    fence.query<{ tenant_id: string; state: string }>(
      "select tenant_id, state from app.moves where schema = $1 and tenant_id is distinct from $2",
      [place.schema, without],
    ),
  );
  const guarded = rows.map(({ tenant_id: id }) => id);
  const captured = rows.filter(({ state }) => state === "open").map(({ tenant_id: id }) => id);
  for (const table of tables) {
    const statements = triggersOf(tableName(end, table.name), table, guarded, captured);
    const until = performance.now() + triggerWait.totalMs;
    while (!(await tryDefine(fence, statements))) {
      if (performance.now() > until) {
        throw new MoveRefused(
          `Transactions keep the table ${table.name} locked for too long. Move the tenant when they have ended.`,
        );
      }
      await sleep(30 + Math.random() * 70);
    }
  }
  if (guarded.length === 0) for (const { name } of tables) await tryDrop(end, name);
}

/** `create or replace` doesn't hold readers up. Without tenants the triggers do nothing. */
function triggersOf(
  table: string,
  { key }: MoveTable,
  guarded: readonly string[],
  captured: readonly string[],
): string {
  const list = (ids: readonly string[]) => pg.escapeLiteral(`{${ids.join(",")}}`);
  const keys = key.map(({ name }) => pg.escapeLiteral(name)).join(", ");
  return `
    create or replace trigger a_move_guard before insert or update or delete on ${table}
      for each statement
      when (current_setting('app.current_tenant_id', true) = any (${list(guarded)}))
      execute function app.move_guard();
    create or replace trigger z_move_capture_iu after insert or update on ${table}
      for each row when (new.tenant_id = any (${list(captured)}::uuid[]))
      execute function app.move_capture(${keys});
    create or replace trigger z_move_capture_d after delete on ${table}
      for each row when (old.tenant_id = any (${list(captured)}::uuid[]))
      execute function app.move_capture(${keys})`;
}

const locked = new Set(["55P03", "40P01"]);

const tryDefine = (client: pg.Client, statements: string, lockMs: number = triggerWait.lockMs) =>
  inTransaction(client, async () => {
    await client.query(`set local role ${ownerRole}; set local lock_timeout = ${lockMs}`);
    await client.query(statements);
  }).then(
    () => true,
    (error: unknown) => {
      if (locked.has(String((error as { code?: unknown }).code))) return false;
      throw error;
    },
  );

/**
 * Dropping a trigger waits for readers, and others for it: so not for long. One that stays does
 * nothing, and goes with the next move.
 */
async function tryDrop(end: MoveEnd, table: string): Promise<void> {
  const name = tableName(end, table);
  const drops = ["a_move_guard", "z_move_capture_iu", "z_move_capture_d"].map(
    (trigger) => `drop trigger if exists ${trigger} on ${name}`,
  );
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await tryDefine(end.fence, drops.join("; "), 10)) return;
    await sleep(50);
  }
}
