/** A scope is what a handler was given, whatever happens between its statements. */
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setImmediate, setTimeout } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app/app.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { randomFrom, seed } from "../src/testing/random.ts";
import type { TestApp as App } from "../src/testing/test-app.ts";

interface PlaceTables {
  places: { name: string };
}

const random = randomFrom(seed);
let folder: string;
let app: App;
let members: TestMember[];

/** A route that reads its tenant's one row again and again, in the odd corners of an event loop. */
const placesIn = (migrations: URL) =>
  feature<PlaceTables>("places", {
    permissions: { "places:read": "See places" },
    migrations,
    tables: ["places"],
    routes: (r) => [
      r.get(
        "/places/seen",
        { permission: "places:read", summary: "Sees", response: Type.Array(Type.String()) },
        async ({ db }) => {
          const see = async () =>
            (await db.selectFrom("places").select("name").execute()).map(({ name }) => name);
          const emitter = new EventEmitter();
          const heard = once(emitter, "seen");
          emitter.once("ask", () => see().then((names) => emitter.emit("seen", names)));
          const seen = [await see()];
          await setTimeout(random.below(5));
          seen.push(await see());
          emitter.emit("ask");
          seen.push(...(await heard));
          await setImmediate();
          for await (const _ of Readable.from([1, 2])) seen.push(await see());
          seen.push(
            await db
              .transaction()
              .execute(async (tx) =>
                (await tx.selectFrom("places").select("name").execute()).map(({ name }) => name),
              ),
          );
          return seen.flat();
        },
      ),
    ],
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "insulae-scopes-"));
  writeFileSync(
    join(folder, "0001_places.sql"),
    "create table places (id uuid primary key default app.uuid_v7(), name text not null);\nselect app.tenant_table('places');\n-- down\ndrop table places;\n",
  );
  app = await createTestApp({ features: [placesIn(pathToFileURL(`${folder}/`))] });
  members = await Promise.all(
    (["pool", "schema", "database"] as const).flatMap((isolation) =>
      Array.from({ length: 4 }, () => createMember(app, isolation)),
    ),
  );
  for (const { tenant } of members) {
    await app.withTenant(tenant, ({ db }) =>
      db.query("insert into places (name) values ($1)", [tenant.key]),
    );
  }
});

afterAll(async () => {
  await app?.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a thousand requests of many tenants at once each see their own", {
  timeout: 60_000,
}, async () => {
  const requests = Array.from({ length: 1_000 }, async (_, number) => {
    const member = members[number % members.length];
    if (!member) throw new Error("no member");
    const { status, body } = await member.call("GET", "/places/seen");
    // More than the database takes at once is told to come back, never served with another's.
    if (status === 503) return 0;
    expect(status).toBe(200);
    expect(new Set(body)).toEqual(new Set([member.tenant.key]));
    return 1;
  });
  const served = (await Promise.all(requests)).reduce<number>((sum, one) => sum + one, 0);
  expect(served).toBeGreaterThan(100);
});

test("work for a tenant that does not exist is refused, not done without a scope", async () => {
  await expect(app.withTenant("nobody", ({ db }) => db.query("select 1"))).rejects.toMatchObject({
    code: "tenant_not_found",
  });
});

test("an app whose route says not who may call it does not start", async () => {
  const careless = feature("careless", {
    routes: (r) => [
      r.get(
        "/open",
        // Whoever writes JavaScript, or casts, gets past the types.
        { summary: "Open to all?", response: Type.String() } as never,
        () => "",
      ),
    ],
  });
  const started = createApp({
    env: {},
    features: [careless],
    config: app.config,
    log: undefined as never,
  });
  await expect(started).rejects.toThrow(/permission/);
});
