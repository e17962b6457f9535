/** A tenant's own schema is nobody else's to name, over the whole way of an application's statement. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

let app: App;
let a: TestMember;
let b: TestMember;
let pool: TestMember;

beforeAll(async () => {
  app = await createTestApp();
  [a, b, pool] = await Promise.all([
    createMember(app, "schema"),
    createMember(app, "schema"),
    createMember(app, "pool"),
  ]);
  await b.call("POST", "/contacts", { name: "Secret" });
});
afterAll(() => app?.close());

const codeOf = (work: Promise<unknown>) =>
  work.then(
    (result) => JSON.stringify(result),
    (error: { code?: string }) => error.code,
  );

describe.each([
  ["another schema's tenant", () => a],
  ["a tenant of the pool", () => pool],
])("%s that names a tenant's schema is refused (attack 17)", (_, member) => {
  test.each([
    "select name from THEIRS.contacts",
    "insert into THEIRS.contacts (name) values ('x') returning name",
    "update THEIRS.contacts set name = 'x' returning name",
    "delete from THEIRS.contacts returning name",
    "select count(*) from contacts c join THEIRS.contacts using (id)",
  ])("%s", async (text) => {
    const theirs = text.replace("THEIRS", b.tenant.placement.schema);
    await app.withTenant(member().tenant, async ({ db }) => {
      expect(await codeOf(db.query(theirs))).toBe("42501");
      expect(await codeOf(sql.raw(theirs).execute(db))).toBe("42501");
      expect(await codeOf(db.transaction().execute((tx) => sql.raw(theirs).execute(tx)))).toBe(
        "42501",
      );
    });
  });
});

test("a tenant with a schema of its own can't name the pool's", async () => {
  await app.withTenant(a.tenant, async ({ db }) => {
    expect(await codeOf(db.query("select name from data.contacts"))).toBe("42501");
    expect(await codeOf(db.query("insert into data.contacts (name) values ('x')"))).toBe("42501");
  });
});

test.each([
  "select set_config('role', 'none', true)",
  "set local role insulae_app",
  "reset role",
  "set local search_path = data",
])("nor take on another role, or another path: %s", async (text) => {
  await app.withTenant(a.tenant, async ({ db }) => {
    await expect(db.query(text)).rejects.toMatchObject({ name: "StatementRefused" });
    await expect(db.transaction().execute((tx) => sql.raw(text).execute(tx))).rejects.toMatchObject(
      { name: "StatementRefused" },
    );
  });
});

test("of statements in turn each has its own role and path, on the same connections", async () => {
  const place = ({ tenant }: TestMember) =>
    app.withTenant(tenant, ({ db }) =>
      db.query("select current_user::text as role, current_setting('search_path') as path"),
    );
  const expected = ({ tenant: { placement } }: TestMember) => [
    {
      role: placement.role ?? "insulae_app",
      path: placement.role ? `"${placement.schema}"` : "data",
    },
  ];
  const turns = Array.from({ length: 20 }, () => [a, pool, b]).flat();
  const seen = await Promise.all(turns.map(place));
  expect(seen).toEqual(turns.map(expected));
});
