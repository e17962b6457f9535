import { type Kysely, sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { verifyChain } from "./verify.ts";

let app: App;
let owner: pg.Client;

beforeAll(async () => {
  app = await createTestApp();
  owner = new pg.Client({ connectionString: app.config.databaseUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner?.end();
  await app?.close();
});

const onPlatform = <T>(fn: (control: Kysely<ControlTables>) => Promise<T>): Promise<T> =>
  app.withPlatform("a test", ({ control }) => fn(control));

const verify = () =>
  onPlatform((control) =>
    verifyChain({ name: "platform", table: "control.audit_log", db: control }),
  );

interface Row {
  readonly seq: string | null;
  readonly number: number;
}
/** This test's entries, in the order of the chain; those without a place last. */
const entries = async (test: string): Promise<readonly Row[]> => {
  const { rows } = await owner.query<Row>(
    `select seq, (detail ->> 'number')::int as number from control.audit_log
     where detail ->> 'test' = $1 order by seq`,
    [test],
  );
  return rows;
};

let name: string;
let counter = 0;
beforeEach(() => {
  counter += 1;
  name = `test ${counter}`;
});
const entry = (number: number) => ({
  action: "thing.done" as const,
  detail: { test: name, number },
});

describe("the platform's log", () => {
  test("doesn't wait for other transactions", async () => {
    await onPlatform((control) =>
      control.transaction().execute(async (tx) => {
        await app.audit(entry(1), tx);
        // With a single lock this would wait for the surrounding transaction, in vain.
        await app.audit(entry(2));
        expect((await entries(name)).map(({ number }) => number)).toEqual([2]);
      }),
    );
    expect(await entries(name)).toHaveLength(2);
  });

  test("is chained without gaps under concurrent writes, and without rolled-back entries", async () => {
    const many = Array.from({ length: 60 }, (_, n) =>
      onPlatform((control) =>
        control.transaction().execute(async (tx) => {
          await app.audit(entry(n), tx);
          if (n % 4 === 0) throw new Error("rolled back");
        }),
      ).catch(() => undefined),
    );
    await Promise.all([...many, verify(), verify(), verify()]);
    const { head, problem } = await verify();
    expect(problem).toBeUndefined();
    const written = await entries(name);
    expect(written).toHaveLength(45);
    expect(written.every(({ seq }) => seq !== null)).toBe(true);
    expect(Number(written.at(-1)?.seq)).toBeLessThanOrEqual(head?.seq ?? 0);
  });

  test("is chained in the background, soon", async () => {
    await app.audit(entry(1));
    await expect.poll(async () => (await entries(name))[0]?.seq, { timeout: 10_000 }).toBeTruthy();
  });

  test("places an entry that committed late after those chained before", async () => {
    await onPlatform((control) =>
      control.transaction().execute(async (tx) => {
        await app.audit(entry(1), tx);
        await app.audit(entry(2));
        await verify();
      }),
    );
    expect((await verify()).problem).toBeUndefined();
    expect((await entries(name)).map(({ number }) => number)).toEqual([2, 1]);
  });

  test("has its entries chained by the next process, if one was killed", async () => {
    await owner.query(
      `insert into control.audit_log (action, outcome, actor_kind, detail)
       values ('thing.done', 'succeeded', 'system', $1)`,
      [JSON.stringify({ test: name, number: 1 })],
    );
    expect((await entries(name))[0]?.seq).toBeNull();
    expect((await verify()).problem).toBeUndefined();
    expect((await entries(name))[0]?.seq).not.toBeNull();
  });

  test.each([
    ["change an entry", "update control.audit_log set action = 'thing.left'"],
    ["delete one", "delete from control.audit_log"],
    ["choose its number", "update control.audit_log set seq = null, hash = null"],
    [
      "write one with a number",
      `insert into control.audit_log (seq, hash, action, outcome, actor_kind, detail)
       values (1000000, 'x', 'thing.done', 'succeeded', 'system', '{}')`,
    ],
  ])("does not allow the application to %s", async (_what, statement) => {
    await expect(onPlatform((control) => sql.raw(statement).execute(control))).rejects.toThrow(
      "permission denied",
    );
  });

  test("reveals what was changed after it was chained", async () => {
    await app.audit(entry(1));
    await verify();
    const changed = await owner.query<{ seq: string }>(
      `update control.audit_log set detail = detail || '{"number": 7}'
       where detail ->> 'test' = $1 returning seq`,
      [name],
    );
    expect((await verify()).problem).toEqual({
      seq: Number(changed.rows[0]?.seq),
      problem: "was changed",
    });
    await owner.query(
      `update control.audit_log set detail = detail || '{"number": 1}' where detail ->> 'test' = $1`,
      [name],
    );
    expect((await verify()).problem).toBeUndefined();
  });
});
