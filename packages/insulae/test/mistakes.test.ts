/** What an application's author gets wrong is refused at the start, in words that name it. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { createApp, defineApp, defineError, type Feature, feature, Type } from "../src/index.ts";
import { DeclarationError } from "../src/kernel/lib/declaration-error.ts";
import { createTestApp } from "../src/testing/index.ts";

const table = (sql: string) => `create table jots (${sql});
select app.tenant_table('jots');
-- down
drop table jots;
`;
const columns = "id uuid primary key default app.uuid_v7(), text text not null";

async function folder(sql: string): Promise<URL> {
  const path = await mkdtemp(join(tmpdir(), "insulae-mistakes-"));
  await writeFile(join(path, "0001_jots.sql"), sql);
  return pathToFileURL(`${path}/`);
}

/** The error with which an app does not start. */
async function refusal(options: unknown): Promise<Error & { problems?: readonly string[] }> {
  const app = await createTestApp(options as object).catch((error: Error) => error);
  if (app instanceof Error) return app;
  await app.close();
  return expect.unreachable("it has started");
}

const jots = async (options: object, sql = table(columns)): Promise<Feature> =>
  feature("jots", { migrations: await folder(sql), tables: ["jots"] as never, ...options });

describe("an app does not start", () => {
  test.each<[string, unknown, string]>([
    ["a misspelt option", { feautures: [] }, "feautures is not an option; did you mean features?"],
    [
      "a misspelt setting",
      { config: { bodyLimitByte: 1 } },
      "config.bodyLimitByte is not an option; did you mean bodyLimitBytes?",
    ],
    [
      "a feature that is undefined",
      { features: [undefined] },
      "features[0] is undefined: its import is misspelt or part of an import cycle",
    ],
    [
      "a feature that is a promise",
      { features: [Promise.resolve()] },
      "features[0] is a promise: await it",
    ],
    ["a feature that is a list", { features: [[]] }, "features[0] is a list: spread it"],
    [
      "a feature of its own making",
      { features: [{ name: "x" }] },
      "features[0] is a value of the type object; give what feature() returns",
    ],
    [
      "features that are a promise",
      { features: Promise.resolve([]) },
      "features is a promise: await it",
    ],
    [
      "a feature that is in no list",
      { features: feature("x", {}) },
      "features is a feature; put it into a list",
    ],
    [
      "settings that are none",
      { features: [], settings: {} },
      "settings is a value of the type object; make it with tenantSettings()",
    ],
    ["options that are a promise", Promise.resolve({}), "its options are a promise: await it"],
  ])("with %s", async (_, options, problem) => {
    const error = await refusal(options);
    expect(error).toBeInstanceOf(DeclarationError);
    expect(error.problems).toEqual([expect.stringContaining(`createTestApp: ${problem}`)]);
  });

  test("with several mistakes, and reports them at once, before it opens anything", async () => {
    const broken = await jots(
      {
        constraints: { jots_text_key: defineError("jot_taken", 409, "It is taken") },
        routes: (r: never) => [
          (r as { get(...given: unknown[]): unknown }).get(
            "/jots/:id",
            { permission: "jots:read", summary: "A jot", response: Type.Unknown() },
            undefined,
          ),
        ],
      },
      "create table jots ();",
    );
    const config = { env: "test", databaseUrl: "postgres://nobody@127.0.0.1:1/none" } as const;
    const starting = createApp({ features: [broken, broken], config });
    const error: DeclarationError = await starting.then(
      () => expect.unreachable("it has started"),
      (thrown) => thrown,
    );
    expect(error.problems).toEqual([
      "the feature jots is in the list twice: list it once",
      "jots: GET /api/v1/jots/:id: its handler is undefined: its import is misspelt or part of an import cycle",
      "jots: GET /api/v1/jots/:id: permission jots:read is not declared by any feature; did you mean jobs:read?",
      "jots: GET /api/v1/jots/:id: parameter :id has no schema in params",
      expect.stringMatching(/^the features? jots .*lists? the table jots twice/),
      expect.stringMatching(/^jots: .*0001_jots.sql: it has no "-- down" part/),
    ]);
  });

  test("as it is not defined either", () => {
    expect(() => defineApp({ feature: [] } as never)).toThrow(
      /defineApp: feature is not an option; did you mean features\?\n- defineApp: features are missing/,
    );
    expect(() => defineApp({ features: [undefined as never] })).toThrow("features[0] is undefined");
  });

  test("with a table that its feature does not list, or lists by another name", async () => {
    expect((await refusal({ features: [await jots({ tables: undefined })] })).message).toContain(
      'the feature jots creates the table data.jots but does not list it: add "jots"',
    );
    const { message } = await refusal({ features: [await jots({ tables: ["jot"] })] });
    expect(message).toContain("the feature jots lists the table jot, which");
    expect(message).toContain("does not list it");
  });

  test("with a constraint that no table has", async () => {
    const constraints = { jots_text_keys: defineError("jot_taken", 409, "It is taken") };
    const unique = table(`${columns}, constraint jots_text_key unique (text)`);
    expect((await refusal({ features: [await jots({ constraints }, unique)] })).message).toContain(
      "the feature jots names the constraint jots_text_keys, which does not exist; did you mean jots_text_key?",
    );
  });

  test("with a table without its tenant's column, or with a reference that can leave the tenant", async () => {
    const bare = table(columns).replace("select app.tenant_table('jots');", "");
    expect((await refusal({ features: [await jots({}, bare)] })).message).toMatch(
      /jots\/0001_jots would leave tables that are not isolated:[\s\S]*data\.jots has no column tenant_id \(use app\.tenant_table\)/,
    );
    const leaving = table(`${columns}, user_id uuid references users (id)`);
    const error = await refusal({
      features: [await jots({ dependsOn: ["users"] }, leaving)],
    });
    expect(error.message).toMatch(/^jots\/0001_jots/);
  });

  test("with a migration that is no SQL, and says where", async () => {
    const wrong = `create table jots (id uuid);\nselect app.tenant_tabel('jots');\n-- down\ndrop table jots;`;
    expect((await refusal({ features: [await jots({}, wrong)] })).message).toMatch(
      /^jots\/0001_jots, line 2: function app\.tenant_tabel\(unknown\) does not exist\n/,
    );
  });
});
