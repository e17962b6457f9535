/** One tenant that takes all it can get: what it can't get is what the others need (attack 108). */
import { sql } from "kysely";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { standardFeatures } from "../src/features/index.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

/** Whose requests were begun, in this order. Each keeps the process busy for a while. */
const begun: (string | undefined)[] = [];
const busy = feature("busy", {
  routes: (r) => [
    r.get(
      "/busy",
      { permission: "public", summary: "Is busy", response: Type.Object({}) },
      ({ tenant }) => {
        begun.push(tenant.id);
        const until = performance.now() + 3;
        while (performance.now() < until);
        return {};
      },
    ),
  ],
});

const connections = 12;
let app: App;
let flooding: TestMember;
let other: TestMember;

beforeAll(async () => {
  app = await createTestApp({
    features: [...standardFeatures, busy],
    config: { databaseConnections: connections },
  });
  [flooding, other] = [await createMember(app), await createMember(app)];
});
afterAll(() => app?.close());

test("transactions of one tenant that never end leave connections, and lanes, for another", async () => {
  const gate = Promise.withResolvers<void>();
  let held = 0;
  let refused = 0;
  const hold = () =>
    app
      .withTenant(flooding.tenant.id, ({ db }) =>
        db.transaction().execute(async (tx) => {
          await sql`select 1`.execute(tx);
          held += 1;
          await gate.promise;
        }),
      )
      .catch((error: { code: string }) => {
        expect(error.code).toBe("database_busy");
        refused += 1;
      });
  const flood = Array.from({ length: 40 }, hold);
  await expect.poll(() => held, { timeout: 10_000 }).toBeGreaterThan(0);

  for (let i = 0; i < 3; i += 1) {
    expect((await other.call("POST", "/contacts", { name: "Ada" })).status).toBe(201);
    expect((await other.call("GET", "/contacts")).status).toBe(200);
    const [row] = await app.withTenant(other.tenant.id, ({ db }) =>
      db.transaction().execute(async (tx) => (await sql`select 1 as one`.execute(tx)).rows),
    );
    expect(row).toEqual({ one: 1 });
  }
  // It waits for what is its own, and is told to come back.
  await expect.poll(() => held + refused, { timeout: 20_000 }).toBe(40);
  expect(held).toBeLessThanOrEqual(connections / 2);
  expect(refused).toBe(40 - held);
  gate.resolve();
  await Promise.all(flood);
});

test("slow statements of one tenant leave another its turn", async () => {
  let done = 0;
  const flood = Array.from({ length: 200 }, () =>
    app
      .withTenant(flooding.tenant.id, ({ db }) => db.query("select pg_sleep(0.02)"))
      .then(() => {
        done += 1;
      }),
  );
  for (let i = 0; i < 5; i += 1) {
    expect((await other.call("GET", "/contacts")).status).toBe(200);
  }
  // About 27 of them: what was under way, and a turn for each statement of the other's. Without its share of the lanes
  // the flood is nearly over.
  expect(done).toBeLessThan(100);
  await Promise.all(flood);
});

test("statements of one tenant that wait for a lock hold up nobody else", async () => {
  const gate = Promise.withResolvers<void>();
  const isHeld = Promise.withResolvers<void>();
  const keeper = app.withTenant(other.tenant.id, ({ db }) =>
    db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(108)`.execute(tx);
      isHeld.resolve();
      await gate.promise;
    }),
  );
  await isHeld.promise;
  let ended = 0;
  const flood = Array.from({ length: 100 }, () =>
    app
      .withTenant(flooding.tenant.id, ({ db }) =>
        db.query("select pg_advisory_xact_lock_shared(108)"),
      )
      .finally(() => {
        ended += 1;
      }),
  );
  for (let i = 0; i < 5; i += 1) {
    expect((await other.call("GET", "/contacts")).status).toBe(200);
    expect((await other.call("POST", "/contacts", { name: "Ada" })).status).toBe(201);
  }
  expect(ended).toBe(0);
  gate.resolve();
  await Promise.all([keeper, ...flood]);
});

test("requests of one tenant that keep the process busy leave another its turn", async () => {
  await flooding.call("GET", "/busy");
  await other.call("GET", "/busy");
  begun.length = 0;
  const flood = Array.from({ length: 100 }, () => flooding.call("GET", "/busy"));
  await other.call("GET", "/busy");
  // Not as the last of all.
  expect(begun.indexOf(other.tenant.id)).toBeLessThan(20);
  await Promise.all(flood);
  expect(begun).toHaveLength(101);
});
