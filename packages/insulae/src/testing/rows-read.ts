/** Counts the rows that statements read, so that a test can compare amounts of work instead of times. */
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { ControlTables } from "../kernel/schema/control-tables.ts";

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly Plan[];
}

/**
 * @param client the administrator; its plans are generic from now on, as those of prepared statements may be
 * @example
 * const { db, rowsReadBy } = countRowsRead(client);
 * expect(await rowsReadBy(() => listTenants(db, { limit: 25 }))).toBeLessThan(100);
 */
export function countRowsRead(client: pg.Client) {
  let read = 0;
  // Plans each statement with `explain analyze` to count, then runs it.
  const pool = {
    connect: async () => ({
      async query(text: string, values: readonly unknown[]) {
        await client.query(
          `set plan_cache_mode = force_generic_plan; prepare explained as ${text}`,
        );
        const given = values.length > 0 ? `(${values.map(literal).join(", ")})` : "";
        const { rows } = await client.query<{ "QUERY PLAN": readonly { readonly Plan: Plan }[] }>(
          `explain (analyze, format json) execute explained${given}`,
        );
        await client.query("deallocate explained");
        for (const { Plan } of rows[0]?.["QUERY PLAN"] ?? []) read += rowsRead(Plan);
        return client.query(text, [...values]);
      },
      release() {},
    }),
    end: async () => {},
  };
  const db = new Kysely<ControlTables>({
    dialect: new PostgresDialect({ pool: pool as unknown as pg.Pool }),
  });
  return {
    /** For statements that only read: each is run twice. */
    db,
    async rowsReadBy(work: () => Promise<unknown>): Promise<number> {
      const before = read;
      await work();
      return read - before;
    },
  };
}

const literal = (value: unknown): string =>
  value === null ? "null" : pg.escapeLiteral(String(value));

/** Those that scans of tables and indexes have looked at. */
function rowsRead(plan: Plan): number {
  const { "Actual Loops": loops, Plans: below = [] } = plan;
  const removed =
    (plan["Rows Removed by Filter"] ?? 0) + (plan["Rows Removed by Index Recheck"] ?? 0);
  const own = /Scan/.test(plan["Node Type"]) ? (plan["Actual Rows"] + removed) * loops : 0;
  return below.reduce((sum, each) => sum + rowsRead(each), own);
}
