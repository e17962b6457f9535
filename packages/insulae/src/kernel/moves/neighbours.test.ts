/** What else is done to places and tenants while a tenant moves. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moveTables, placementOfTenant } from "../../testing/move-writer.ts";
import { createMovingTenant, moverOf } from "../../testing/moving-tenants.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { loadMigrations } from "../schema/migration-files.ts";
import { migratePlacement } from "../schema/migrator.ts";
import { listPlacements } from "../tenancy/migrate-all.ts";
import { findStrayRows } from "../tenancy/strays.ts";
import { createMoves } from "./moves.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("movable", [moveTables])]);
});
afterAll(() => installation?.close());

const moves = () => createMoves(installation);

/** Runs `fn` while a mover waits at the step. */
async function during(step: string, fn: (move: { id: string }) => Promise<void>) {
  const id = await createMovingTenant(installation, "pool", 10);
  const move = await moves().start(id, { isolation: "schema" });
  await moverOf(installation, {
    at: async (reached) => {
      if (reached === step) await fn(move);
    },
  }).run(move.id);
  expect(await moves().get(move.id)).toMatchObject({ state: "kept", error: undefined });
  return id;
}

const makeOld = () =>
  installation
    .open("owner")
    .then((client) =>
      client.query("update control.placements set created_at = now() - interval '1 hour'"),
    );

describe("while a tenant moves", () => {
  test("neither its target nor its source is an orphan", async () => {
    const { provisioning, main } = installation;
    await during("copying", async () => {
      await makeOld();
      expect(await provisioning.findOrphans([main.id])).toEqual([]);
    });
    await makeOld();
    expect(await provisioning.findOrphans([main.id])).toEqual([]);
    // The rows that are kept are no strays either.
    const client = await installation.open("owner");
    const placements = await listPlacements(installation.control);
    expect(await findStrayRows(client, installation.control, placements)).toEqual([]);
  });

  test("a migration of its place waits, and says why it gives up", async () => {
    const newer = await loadMigrations([
      await testFeature("movable", [moveTables, "alter table parents add note text;"]),
    ]);
    await during("following", async () => {
      const client = await installation.open("owner");
      await expect(migratePlacement(client, "data", newer, { waitMs: 50 })).rejects.toThrow(
        /A tenant is being moved from or to the schema data/,
      );
    });
  });

  test("another move of it is refused, and so is one to where it is", async () => {
    const id = await during("following", async (move) => {
      const { tenantId } = await moves().get(move.id);
      await expect(moves().start(tenantId, { isolation: "database" })).rejects.toMatchObject({
        code: "move_under_way",
      });
    });
    await expect(moves().start(id, { isolation: "schema" })).rejects.toMatchObject({
      code: "tenant_placed_there",
    });
  });

  test("another tenant of the pool moves as well, each with its own writes", async () => {
    const other = await createMovingTenant(installation, "pool", 10);
    await during("following", async () => {
      const move = await moves().start(other, { isolation: "database" });
      await moverOf(installation).run(move.id);
      expect(await moves().get(move.id)).toMatchObject({ state: "kept", error: undefined });
    });
    expect((await placementOfTenant(installation, other)).isolation).toBe("database");
  });
});

describe("a move is undone at once", () => {
  test("if a table has no key of the tenant's", async () => {
    const keyless = await createTestInstallation([
      await testFeature("keyless", [
        `${moveTables} create table loose (id integer); select app.tenant_table('loose');
         create index on loose (tenant_id);`,
      ]),
    ]);
    try {
      const id = await createMovingTenant(keyless, "pool", 1);
      const move = await createMoves(keyless).start(id, { isolation: "schema" });
      await moverOf(keyless).run(move.id);
      expect(await createMoves(keyless).get(move.id)).toMatchObject({
        state: "aborted",
        error: expect.stringContaining("The table loose has no primary key"),
      });
      expect((await placementOfTenant(keyless, id)).isolation).toBe("pool");
    } finally {
      await keyless.close();
    }
  });

  test("if the tables of both places differ", async () => {
    const id = await createMovingTenant(installation, "schema", 1);
    const { schema } = await placementOfTenant(installation, id);
    const client = await installation.open("owner");
    await client.query(`alter table ${schema}.parents add column extra text`);
    const move = await moves().start(id, { isolation: "pool" });
    await moverOf(installation).run(move.id);
    expect(await moves().get(move.id)).toMatchObject({
      state: "aborted",
      error: expect.stringContaining("not the same at the source and at the target: parents"),
    });
  });
});
