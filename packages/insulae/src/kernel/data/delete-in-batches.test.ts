import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { deleteInBatches } from "./delete-in-batches.ts";

let app: TestApp;
let control: Kysely<ControlTables>;
beforeAll(async () => {
  app = await createTestApp();
  control = await app.withPlatform("a test", async (scope) => scope.control);
});
afterAll(() => app?.close());

test("all rows that match are deleted, however many, and no others", async () => {
  await sql`
    insert into control.handed_over_mails (provider_id, mail_id, created_at)
    select n::text, app.uuid_v7(), case when n <= 12000 then '2020-01-01'::timestamptz else now() end
    from generate_series(1, 12010) as n`.execute(control);
  const statements: bigint[] = [];
  const counting = control.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      statements.push(result.numAffectedRows ?? 0n);
      return result;
    },
  });
  await deleteInBatches(counting, "control.handed_over_mails", sql`created_at < '2021-01-01'`);
  const { rows } = await sql<{ left: number }>`
    select count(*)::int as left from control.handed_over_mails`.execute(control);
  expect([rows[0]?.left, statements]).toEqual([10, [5_000n, 5_000n, 2_000n]]);
});
