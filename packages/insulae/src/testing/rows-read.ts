/** Counts the rows that statements read, so that a test can compare amounts of work instead of times. */
import { hash } from "node:crypto";
import { Kysely, PostgresDialect } from "kysely";
import type pg from "pg";
import type { ControlTables } from "../kernel/schema/control-tables.ts";

/** Rows that scans of tables returned, and entries that scans of indexes did, in this transaction. */
const countRead = `
  select coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)), 0)::int as read
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'control' and c.relkind in ('r', 'i')`;

/**
 * @param client the administrator; its plans are generic from now on, as those of prepared statements may be
 * @example
 * const { db, rowsReadBy } = countRowsRead(client);
 * expect(await rowsReadBy(() => listTenants(db, { limit: 25 }))).toBeLessThan(100);
 */
export function countRowsRead(client: pg.Client) {
  const query = async (text: string, values: readonly unknown[]) =>
    client.query({ name: hash("sha1", text), text, values: [...values] });
  const count = async () => {
    const { rows } = await client.query<{ read: number }>(countRead);
    return rows[0]?.read ?? 0;
  };
  const pool = { connect: async () => ({ query, release() {} }), end: async () => {} };
  return {
    db: new Kysely<ControlTables>({
      dialect: new PostgresDialect({ pool: pool as unknown as pg.Pool }),
    }),
    /** How many rows of the control plane `work` reads, also within functions. */
    async rowsReadBy(work: () => Promise<unknown>): Promise<number> {
      await client.query("set plan_cache_mode = force_generic_plan");
      await client.query("begin");
      try {
        // Counts of earlier transactions may be among them.
        const before = await count();
        await work();
        return (await count()) - before;
      } finally {
        await client.query("rollback");
      }
    },
  };
}
