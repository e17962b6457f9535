/** Each statement of the queue reads what it is about, however many jobs there are in each state. */
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ControlTables } from "../schema/control-tables.ts";
import { type JobParts, openJobParts } from "./parts-fixture.ts";
import { createJobQueue, type JobQueue } from "./queue.ts";

const many = 5_000;

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly Plan[];
}

let parts: JobParts;
let queue: JobQueue;
let explaining: Kysely<ControlTables>;
let read = 0;
let tenant: string;
beforeAll(async () => {
  parts = await openJobParts();
  tenant = (await parts.newTenant()).id;
  explaining = new Kysely({
    dialect: new PostgresDialect({ pool: explainingPool() as unknown as pg.Pool }),
  });
  queue = createJobQueue(explaining);
  await parts.rows("set plan_cache_mode = force_generic_plan");
  await parts.rows("alter table control.jobs set (autovacuum_enabled = off)");
});
afterAll(() => parts?.close());

/** Runs each statement twice: to count what it reads, and, as that was rolled back, to run it. */
const explainingPool = () => ({
  connect: async () => ({
    async query(text: string, values: readonly unknown[]) {
      await parts.rows(`prepare explained as ${text}`);
      await parts.rows("begin");
      const given = values.length > 0 ? `(${values.map(literal).join(", ")})` : "";
      const rows = await parts.rows<{ "QUERY PLAN": readonly { readonly Plan: Plan }[] }>(
        `explain (analyze, format json) execute explained${given}`,
      );
      await parts.rows("rollback; deallocate explained");
      for (const { Plan } of rows[0]?.["QUERY PLAN"] ?? []) read += rowsRead(Plan);
      return parts.database.query(text, [...values]);
    },
    release() {},
  }),
  end: async () => {},
});

const literal = (value: unknown): string => {
  if (value === null) return "null";
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.join()}}` : String(value));
};

/** Rows of jobs that the plan's scans looked at. */
const rowsRead = (plan: Plan): number => {
  const own =
    plan["Relation Name"] === "jobs" && plan["Node Type"].endsWith("Scan")
      ? plan["Actual Rows"] +
        (plan["Rows Removed by Filter"] ?? 0) +
        (plan["Rows Removed by Index Recheck"] ?? 0)
      : 0;
  const further = (plan.Plans ?? []).reduce((sum, each) => sum + rowsRead(each), 0);
  return own * plan["Actual Loops"] + further;
};

/** @returns what `work` returned; fails if it read more than a few rows */
const readsFew = async <T>(work: () => Promise<T>): Promise<T> => {
  read = 0;
  const result = await work();
  expect(read).toBeLessThan(10);
  return result;
};

const addMany = (state: string, columns = "", values = "", whose = "gen_random_uuid()::text") =>
  parts.rows(
    `insert into control.jobs (id, queue, job, data, state, priority ${columns})
     select app.uuid_v7(), ${whose}, 'tests.test', '{}', '${state}', n % 2 - 1 ${values}
     from generate_series(1, ${many}) n`,
  );

const take = async () => {
  const taken = await readsFew(() => queue.take(tenant, "ordinary"));
  if (!taken) throw new Error("there is nothing to take");
  return taken;
};

describe.each(["never analyzed", "analyzed"])(
  "beside thousands of jobs in each state, %s",
  (when) => {
    beforeAll(async () => {
      if (when === "analyzed") {
        await parts.rows("vacuum analyze control.jobs");
        return;
      }
      await addMany("held", ", due_at", ", now() + interval '1 day'");
      await addMany("ready", "", "", `'${tenant}'`);
      await addMany("running", ", leased_until", ", now() + interval '1 day'");
      await addMany("completed", ", finished_at", ", now()");
      await addMany("parked", ", finished_at", ", now()");
    });

    it("finds the queues with work", async () => {
      for (const kind of ["ordinary", "background"] as const) {
        expect(await readsFew(() => queue.ready(kind, "", 10))).toEqual([tenant]);
      }
    });

    it("adds, takes, renews, completes, fails and hands back a job", async () => {
      await readsFew(() => queue.add(tenant, [parts.newJob({ key: "one" })]));
      const [first, second, third] = [await take(), await take(), await take()];
      expect(await readsFew(() => queue.prolong(first, 0.5))).toBe(true);
      expect(await readsFew(() => queue.complete(first, null))).toBe(true);
      expect(await readsFew(() => queue.fail(second, "it stumbled", false))).toBe(true);
      expect(await readsFew(() => queue.handBack(third))).toBe(true);
      expect(await readsFew(() => queue.take(tenant, "background"))).toBeDefined();
    });

    it("finds what is due, expired or old", async () => {
      expect(await readsFew(() => queue.release())).toBeGreaterThan(0);
      expect(await readsFew(() => queue.takeOver())).toBe(0);
      await readsFew(() => queue.sweep());
    });
  },
);
