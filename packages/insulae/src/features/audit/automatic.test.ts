/** The entry that the server writes by itself, where a route declares what the log calls it. */
import pg from "pg";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { feature } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { createMember, type TestMember, unknownId } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import type { TestApp as App } from "../../testing/test-app.ts";

const jammed = defineError("jammed", 409, "It is jammed");
const Thing = Type.Object({ id: Type.String() });
let done = 0;

const doors = feature("doors", {
  routes: (r) => {
    const about = { permission: "authenticated", summary: "A door" } as const;
    const opened = { ...about, audit: "door.opened" } as const;
    return [
      r.post("/doors", { ...opened, response: { 201: Thing } }, () => ({ id: "oak" })),
      r.post("/doors/:id/open", { ...opened, params: idParams, response: { 204: null } }, () => {
        done += 1;
      }),
      r.post("/doors/tell", { ...opened, response: { 204: null } }, async ({ audit }) => {
        await audit({ action: "door.opened", detail: { how: "with a key" } });
      }),
      r.post("/doors/jam", { ...opened, response: { 204: null }, errors: [jammed] }, () => {
        throw jammed();
      }),
      r.post("/doors/break", { ...opened, response: { 204: null } }, async () => {
        throw new Error("the hinges");
      }),
      r.post(
        "/doors/look",
        { ...about, audit: { none: "a test" }, response: { 204: null } },
        () => {},
      ),
    ];
  },
});

let app: App;
let member: TestMember;

beforeAll(async () => {
  app = await createTestApp({ features: [doors] });
  member = await createMember(app);
});

afterAll(() => app?.close());

interface Entry {
  readonly target_type: string | null;
  readonly target_id: string | null;
  readonly detail: object;
}

const entries = () =>
  app.withTenant(
    member.tenant,
    ({ db }) => db.sql<Entry>`
      select target_type, target_id, detail from audit_log where action like 'door.%' order by seq`,
  );

/** What a call adds to the log. */
async function added(path: string, status: number): Promise<readonly Entry[]> {
  const before = await entries();
  expect((await member.call("POST", path)).status).toBe(status);
  return (await entries()).slice(before.length);
}

test("is written once, and is about what is in the answer or in the path", async () => {
  const entry = { target_type: "door", detail: {} };
  expect(await added("/doors", 201)).toEqual([{ ...entry, target_id: "oak" }]);
  expect(await added(`/doors/${unknownId}/open`, 204)).toEqual([
    { ...entry, target_id: unknownId },
  ]);
});

test("is not written beside one that the handler has written", async () => {
  const entry = { target_type: null, target_id: null };
  expect(await added("/doors/tell", 204)).toEqual([{ ...entry, detail: { how: "with a key" } }]);
});

test("is not written when the handler fails, nor where the route wants none", async () => {
  expect(await added("/doors/jam", 409)).toEqual([]);
  expect(await added("/doors/break", 500)).toEqual([]);
  expect(await added("/doors/look", 204)).toEqual([]);
});

test("if it can't be written, the request has failed", async () => {
  const owner = new pg.Client({ connectionString: app.config.databaseUrl });
  await owner.connect();
  const { schema } = member.tenant.placement;
  await owner.query(`
    create function ${schema}.full() returns trigger language plpgsql as
      $$ begin raise exception 'the disk is full'; end $$;
    create trigger a_full before insert on ${schema}.audit_log
      for each row execute function ${schema}.full()`);
  try {
    const before = done;
    expect(await added(`/doors/${unknownId}/open`, 500)).toEqual([]);
    expect(done).toBe(before + 1);
  } finally {
    await owner.query(`drop function ${schema}.full cascade`);
    await owner.end();
  }
});
