import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { withOwner } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Isolation, Placement } from "../model/tenant.ts";
import { loadMigrations, type Migrations } from "../schema/migration-files.ts";
import { migrateAll, type PlacementOutcome } from "./migrate-all.ts";

const first =
  "create table notes (id uuid primary key default app.uuid_v7()); select app.tenant_table('notes');";

let installation: TestInstallation;
let newer: Migrations;

beforeEach(async () => {
  installation = await createTestInstallation([await testFeature("notes", [first])]);
  newer = await loadMigrations([
    await testFeature("notes", [first, "alter table notes add text text;"]),
  ]);
});
afterEach(() => installation.close());

const place = (isolation: Isolation) =>
  installation.provisioning.place(randomUUID() as TenantId, { isolation });

const inPlace = (placement: Placement, fn: (client: pg.Client) => Promise<unknown>) =>
  withOwner(installation.connect, placement, fn);

const run = (onProgress?: (done: number, total: number, outcome: PlacementOutcome) => void) =>
  migrateAll({ ...installation, migrations: newer, ...(onProgress && { onProgress }) });

const states = (outcomes: readonly PlacementOutcome[]) => outcomes.map(({ state }) => state).sort();

const versions = async () => {
  const rows = await installation.control
    .selectFrom("control.placements")
    .select("version")
    .execute();
  return rows.map(({ version }) => version).sort();
};

test("a failing placement is reported, the others finish, and a rerun does the rest (attack 95)", async () => {
  const [, broken] = [await place("schema"), await place("schema"), await place("database")];
  const table = `${broken?.schema}.notes`;
  await inPlace(broken as Placement, (client) => client.query(`alter table ${table} add text int`));

  const progress: string[] = [];
  const outcomes = await run((done, total) => progress.push(`${done}/${total}`));
  expect(progress).toEqual(["1/4", "2/4", "3/4", "4/4"]);
  expect(states(outcomes)).toEqual(["failed", "migrated", "migrated", "migrated"]);
  expect(outcomes.find(({ state }) => state === "failed")).toMatchObject({
    placement: { id: broken?.id },
    error: { message: expect.stringContaining('notes/0002_notes: column "text"') },
  });
  expect(await versions()).toEqual([1, 2, 2, 2]);

  await inPlace(broken as Placement, (client) => client.query(`alter table ${table} drop text`));
  expect(states(await run())).toEqual(["current", "current", "current", "migrated"]);
  expect(states(await run())).toEqual(["current", "current", "current", "current"]);
  expect(await versions()).toEqual([2, 2, 2, 2]);
});

test("a placement created or dropped meanwhile is migrated, or reported as gone (attack 98)", async () => {
  const [schema, database] = [await place("schema"), await place("database")];
  let added: Placement | undefined;
  const outcomes = await migrateAll({
    ...installation,
    migrations: newer,
    concurrency: 1,
    async connect(target) {
      // All placements are listed before the first connection: now two are dropped, and one is
      // created.
      if (added === undefined) {
        added = await place("database");
        await installation.provisioning.retire(schema);
        await installation.provisioning.retire(database);
      }
      return installation.connect(target);
    },
  });
  const stateOf = (placement: Placement | undefined) =>
    outcomes.find((outcome) => outcome.placement.id === placement?.id)?.state;
  expect([stateOf(schema), stateOf(database), stateOf(added)]).toEqual([
    "gone",
    "gone",
    "migrated",
  ]);
  expect(await versions()).toEqual([2, 2]);
});
