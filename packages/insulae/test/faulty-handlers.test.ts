/** What somebody who writes a feature learns of their own mistakes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, feature, type Kysely, sql, statement, Type } from "../src/index.ts";
import { createLoggerTo } from "../src/kernel/telemetry/log.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";

interface Tables {
  contacts: { id: string; nmae: string; name: string };
}

const misspelled = statement((db: Kysely<Tables>) => db.selectFrom("contacts").select("nmae"));

const about = { permission: "contacts:read", summary: "Broken" } as const;
const Answer = Type.Array(Type.Object({ nmae: Type.String() }));
const secret = "private@person.example";

const totals = statement((db: Kysely<Tables>) =>
  db.selectNoFrom(sql<string>`12345678901234567890::numeric`.as("total")),
);
const Total = Type.Object({ total: Type.Union([Type.String(), Type.Null()]) });

const faulty = feature<Tables>("faulty", {
  routes: (r) => [
    r.get("/faulty/statement", { ...about, response: Answer }, async ({ db }) => {
      const found = await misspelled.jsonList(db);
      return found;
    }),
    r.get("/faulty/direct", { ...about, response: Answer }, ({ db }) => misspelled.jsonList(db)),
    r.get("/faulty/query", { ...about, response: Answer }, async ({ db }) => {
      const found = await db
        .selectFrom("contacts")
        .select("nmae")
        .where("name", "=", secret)
        .execute();
      return found;
    }),
    r.get("/faulty/unrun", { ...about, response: Answer }, ({ db }) =>
      db.selectFrom("contacts").select("nmae"),
    ),
    r.get("/faulty/transaction", { ...about, response: Answer }, ({ db }) =>
      db.transaction().execute(async (tx) => {
        const found = await tx.selectFrom("contacts").select("nmae").execute();
        return found;
      }),
    ),
    r.get("/faulty/sql", { ...about, response: Answer }, async ({ db }) => {
      const found = await sql<{ nmae: string }>`select nmae from contacts`.execute(db);
      return found.rows;
    }),
    r.get("/faulty/number", { ...about, response: Total }, ({ db }) => totals.jsonOrThrow(db)),
    r.get("/faulty/thrown", { ...about, response: Answer }, () => {
      throw new TypeError("no database in it");
    }),
    r.get("/faulty/elsewhere", { ...about, response: Answer }, () => {
      const error = new Error("somewhere in a package");
      error.stack = "Error: somewhere\n    at x (/app/node_modules/x/index.js:1:1)";
      throw error;
    }),
  ],
});

/** Where in this file something stands. */
const here = expect.stringMatching(/^packages\/insulae\/test\/faulty-handlers\.test\.ts:\d+:\d+$/);

let app: App;
let ada: TestMember;
const lines: string[] = [];

beforeAll(async () => {
  app = await createTestApp({
    features: [...(await import("../src/features/index.ts")).standardFeatures, faulty],
    log: createLoggerTo("error", (line) => lines.push(line)),
  });
  ada = await createMember(app);
});
afterAll(() => app?.close());

const ask = async (path: string) => {
  lines.length = 0;
  const { status, body } = await ada.call("GET", path);
  expect(status).toBe(500);
  const [line = "{}"] = lines;
  return { body, line: JSON.parse(line) };
};

describe("an error that nobody foresaw", () => {
  test.each(["statement", "direct", "query", "unrun", "transaction", "sql"])(
    "of PostgreSQL names route, SQL and place in the code (%s)",
    async (way) => {
      const { body, line } = await ask(`/faulty/${way}`);
      const route = `GET /api/v1/faulty/${way}`;
      expect(line).toMatchObject({
        ...{ level: 50, msg: "Database error", route, frame: here },
        err: {
          code: "42703",
          message: 'column "nmae" does not exist',
          hint: expect.stringContaining("name"),
          statement: expect.stringMatching(/select .*nmae/),
        },
      });
      expect(body.debug).toMatchObject({
        ...{ route, frame: here, sqlstate: "42703", hint: expect.stringContaining("name") },
        message: 'column "nmae" does not exist',
        statement: expect.stringMatching(/select .*nmae/),
      });
      expect(JSON.stringify([line, body])).not.toContain(secret);
    },
  );

  test("of the handler names its place, and where a package threw it, the route's", async () => {
    for (const [way, message] of [
      ["thrown", "no database in it"],
      ["elsewhere", "somewhere in a package"],
    ] as const) {
      const { body, line } = await ask(`/faulty/${way}`);
      expect(line).toMatchObject({ route: `GET /api/v1/faulty/${way}`, frame: here });
      expect(body.debug).toEqual({ route: `GET /api/v1/faulty/${way}`, frame: here, message });
    }
  });

  test("has in the stack who awaits it: the handler, with its line", async () => {
    for (const way of ["statement", "query", "transaction", "sql"]) {
      const { line } = await ask(`/faulty/${way}`);
      expect(line.err.stack, way).toMatch(/^ {4}at (?!statement).*faulty-handlers\.test\.ts/m);
    }
    const { line } = await ask("/faulty/direct");
    expect(line.err.stack).toMatch(/at statement \(.*faulty-handlers\.test\.ts/);
  });
});

test("a numeric that is a number in JSON, where the response has text, is told how it becomes text", async () => {
  const { body } = await ask("/faulty/number");
  expect(body.detail).toContain(
    "GET /api/v1/faulty/number answered 200 with /total: must be string",
  );
  expect(body.detail).toContain("select them as text (sql<string>`total::text`)");
});
