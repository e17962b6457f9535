import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moveTables, placementOfTenant, writeTo } from "../../testing/move-writer.ts";
import { contentOf, createMovingTenant, moverOf } from "../../testing/moving-tenants.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { type SecondServer, startSecondServer } from "../../testing/test-server.ts";
import { until } from "../../testing/until.ts";
import { isolations } from "../model/tenant.ts";
import { createMoves } from "./moves.ts";

let installation: TestInstallation;
let elsewhere: SecondServer;
beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("movable", [moveTables])]);
  elsewhere = await startSecondServer();
  await installation.servers.add({ name: "second", url: elsewhere.url });
  // New tenants are placed on the first.
  await installation.servers.update("second", { accepting: false });
});
afterAll(async () => {
  await installation?.close();
  await elsewhere?.stop();
});

const moves = () => createMoves(installation);

const pairs = ["main", "second"].flatMap((server) =>
  isolations.flatMap((from) =>
    isolations
      .filter((to) => server !== "main" || from !== to)
      .map((to) => [from, to, server] as const),
  ),
);

describe("a tenant that is written to moves", () => {
  test.each(pairs)("from %s to %s on %s and back, and loses nothing", async (from, to, server) => {
    const id = await createMovingTenant(installation, from, 1_000);
    const other = await createMovingTenant(installation, "pool", 10);
    const before = await contentOf(installation, id);
    const ofOther = await writeTo(installation, other, 1);
    const writer = await writeTo(installation, id);
    await until("there are writes", () => writer.writes() > 20);

    const move = await moves().start(id, { isolation: to, server, keepSeconds: 3600 });
    await moverOf(installation).run(move.id);
    const moved = await moves().get(move.id);
    expect(moved).toMatchObject({ state: "kept", error: undefined });
    expect(moved.report.compared_at_cut_over).toBeGreaterThan(1_000);
    const serverId = await installation.servers.idOf(server);
    expect(await placementOfTenant(installation, id)).toMatchObject({ isolation: to, serverId });
    expect(await contentOf(installation, id)).toBe(before);

    const written = writer.writes();
    await until("there are more writes", () => writer.writes() > written + 50);
    const back = await moves().revert(id);
    await moverOf(installation).run(back.id);
    expect(await moves().get(back.id)).toMatchObject({ state: "kept", error: undefined });
    expect((await placementOfTenant(installation, id)).isolation).toBe(from);
    expect(await contentOf(installation, id)).toBe(before);
    await writer.stop();
    await ofOther.stop();
  });

  test("and when its time is over, nothing is left of it where it was", async () => {
    const id = await createMovingTenant(installation, "pool");
    const move = await moves().start(id, { isolation: "schema" });
    await moverOf(installation).run(move.id);
    await moves().release(move.id);
    await moverOf(installation).run(move.id);
    expect(await moves().get(move.id)).toMatchObject({ state: "done" });
    // The test's administrator is a superuser, for whom there is no Row-Level Security.
    const administrator = await installation.open("owner");
    const { rows } = await administrator.query<{ left: string }>(
      `select (select count(*) from data.parents where tenant_id = $1)
         + (select count(*) from app.moves where tenant_id = $1)
         + (select count(*) from app.move_changes where tenant_id = $1) as left`,
      [id],
    );
    expect(rows).toEqual([{ left: "0" }]);
  });
});
