import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  inScope,
  moveTables,
  oddities,
  openSession,
  placementOfTenant,
  writeTo,
} from "../../testing/move-writer.ts";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { until } from "../../testing/until.ts";
import type { TenantId } from "../lib/ids.ts";
import { type Isolation, isolations } from "../model/tenant.ts";
import { createMover, type MoverOptions } from "./mover.ts";
import { createMoves } from "./moves.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("movable", [moveTables])]);
});
afterAll(() => installation?.close());

const moverOf = (options: Partial<MoverOptions> = {}) =>
  createMover({
    ...installation,
    forget: () => {},
    audit: async () => {},
    log: pino({ level: process.env.MOVE_LOG ?? "silent" }),
    ...options,
  });
const moves = () => createMoves(installation);

let made = 0;
async function createTenant(isolation: Isolation): Promise<TenantId> {
  made += 1;
  const key = `tenant-${made}`;
  const { id } = await installation.control
    .insertInto("control.tenants")
    .values({ key, slug: key, name: key, settings: "{}", owner_account_id: null })
    .returning("id")
    .executeTakeFirstOrThrow();
  const placement = await installation.provisioning.place(id, { isolation });
  await installation.control
    .updateTable("control.tenants")
    .set({ placement_id: placement.id, status: "active" })
    .where("id", "=", id)
    .execute();
  const session = await openSession(installation, id);
  await inScope(session, id, async (client) => {
    await client.query("insert into counters default values");
    await client.query(oddities);
    await client.query(
      "insert into parents (name) select 'seed ' || n from generate_series(1, 3000) n",
    );
  });
  await session.client.end();
  return id;
}

/** All values of all tables, as text. */
async function contentOf(id: TenantId): Promise<string> {
  const session = await openSession(installation, id);
  const content = await inScope(session, id, async (client) => {
    const texts: string[] = [];
    for (const table of ["oddities", "counters", "pairs", "parents"]) {
      const { rows } = await client.query<{ text: string }>(
        `select string_agg(r::text, E'\n' order by r::text) as text from ${table} r`,
      );
      texts.push(rows[0]?.text ?? "");
    }
    return texts.join("\n\n");
  });
  await session.client.end();
  return content;
}

const pairs = isolations.flatMap((from) =>
  isolations.filter((to) => from !== to).map((to) => [from, to] as const),
);

describe("a tenant that is written to moves", () => {
  test.each(pairs)("from %s to %s, and loses nothing", async (from, to) => {
    const id = await createTenant(from);
    const other = await createTenant("pool");
    const before = await contentOf(id);
    const ofOther = await writeTo(installation, other, 1);
    const move = await moves().start(id, { isolation: to, keepSeconds: 3600 });
    await moverOf().run(move.id);
    expect(await moves().get(move.id)).toMatchObject({ state: "kept", error: undefined });
    expect(await contentOf(id)).toBe(before);

    const writer = await writeTo(installation, id);
    await until("there are writes", () => writer.writes() > 50);
    const back = await moves().revert(id);
    await moverOf().run(back.id);
    expect(await moves().get(back.id)).toMatchObject({ state: "kept", error: undefined });
    await until("there are more writes", () => writer.writes() > 300);
    await writer.stop();
    await ofOther.stop();
    const { isolation } = await placementOfTenant(installation, id);
    expect(isolation).toBe(from);
  });
});
