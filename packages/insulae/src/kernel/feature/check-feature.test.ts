import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { DeclarationError } from "../lib/declaration-error.ts";
import { defineError } from "../lib/errors.ts";
import { feature } from "./feature.ts";
import { job } from "./job.ts";
import { mailTemplate } from "./mail-template.ts";

/** As a JavaScript application may call it. */
const declare = (options: unknown, name: unknown = "notes") =>
  feature(name as string, options as object);

const problemsOf = (work: () => unknown): readonly string[] => {
  try {
    work();
  } catch (error) {
    if (error instanceof DeclarationError) return error.problems;
    throw error;
  }
  return [];
};

const route = { permission: "public", summary: "x", response: Type.Unknown() } as const;

describe("a feature is refused, with its name and the option, if", () => {
  it.each<[string, object, string]>([
    ["an option is misspelt", { table: ["notes"] }, "table is not an option; did you mean tables?"],
    ["an option means nothing", { colour: "red" }, "colour is not an option"],
    [
      "its migrations are a path",
      { migrations: "./migrations" },
      "migrations is not a folder URL: use new URL",
    ],
    [
      "its migrations are elsewhere",
      { migrations: new URL("https://x.test/") },
      "migrations is not a folder URL",
    ],
    ["tables is no list", { tables: "notes" }, "tables is not a list"],
    ["a table is none", { tables: ["notes", undefined] }, "tables[1] is not a table's name"],
    [
      "it depends on a feature itself",
      { dependsOn: [{ name: "x" }] },
      "dependsOn[0] is not a feature's name",
    ],
    [
      "a permission has no form",
      { permissions: { "Notes:Read": "See notes" } },
      'permission "Notes:Read": use resource:action in lower case',
    ],
    [
      "a permission is not described",
      { permissions: { "notes:read": " " } },
      'permission "notes:read" has no description',
    ],
    [
      "a role is none",
      { permissions: { "notes:read": { description: "x", role: "editor" } } },
      'permission "notes:read": there is no role "editor"; use owner, admin, manager, user, viewer',
    ],
    [
      "an error is undefined",
      { constraints: { notes_key: undefined } },
      "constraint notes_key: its error is undefined",
    ],
    [
      "a job is undefined",
      { jobs: [undefined] },
      "jobs[0] is undefined: its import is misspelt or part of an import cycle",
    ],
    [
      "a mail is none",
      { mails: ["welcome"] },
      "mails[0] is a value of the type string; make it with mailTemplate()",
    ],
    [
      "an event has no schema",
      { events: { "note.made": { permission: "notes:read" } } },
      "event note.made: its data is undefined",
    ],
    ["a hook is none", { onStart: true }, "onStart is not a function"],
    ["routes returns nothing", { routes: () => undefined }, "routes returned undefined"],
    ["a route is undefined", { routes: () => [undefined] }, "item 1 of its routes is undefined"],
  ])("%s", (_, options, problem) => {
    const [found, ...more] = problemsOf(() => declare(options));
    expect(found).toContain(`notes: ${problem}`);
    expect(more).toEqual([]);
  });

  it("a route is declared but not returned", () => {
    const forgetful = () =>
      feature("notes", {
        routes: (r) => {
          r.get("/notes", route, () => []);
          return [r.get("/tags", route, () => [])];
        },
      });
    expect(problemsOf(forgetful)).toEqual([
      "notes: GET /notes is declared but missing from the list that routes returns",
    ]);
  });

  it("a route has no options", () => {
    const bare = () =>
      feature("notes", { routes: (r) => [r.get("/notes", undefined as never, () => [])] });
    expect(problemsOf(bare)[0]).toMatch(/^notes: GET \/notes: its options are undefined/);
  });

  it("its own name is malformed or reserved", () => {
    expect(problemsOf(() => declare({}, "Notes"))).toEqual([
      'feature name "Notes": use [a-z][a-z0-9-]*',
    ]);
    expect(problemsOf(() => declare({}, "control"))[0]).toContain("this name is reserved");
    expect(problemsOf(() => declare({}, 7))[0]).toContain("feature name 7: use");
  });

  it("several things are wrong, all at once", () => {
    expect(problemsOf(() => declare({ table: [], permissions: { x: "" }, jobs: [null] }))).toEqual([
      "notes: table is not an option; did you mean tables?",
      'notes: permission "x": use resource:action in lower case',
      'notes: permission "x" has no description: describe what it allows, for administrators',
      "notes: jobs[0] is null; make it with job() or platformJob()",
    ]);
  });
});

describe("an error is refused", () => {
  it.each<[string, number, string, string]>([
    ["Bad Code", 409, "Bad", 'error "Bad Code": use a code like "note_not_found"'],
    ["fine", 200, "Fine", 'error "fine": use a status from 400 to 599, not 200'],
    ["fine", 404.5, "Fine", "use a status from 400 to 599"],
    ["fine", 404, " ", 'error "fine": give a title that says what is wrong'],
  ])("as %j, %j, %j", (code, status, title, problem) => {
    expect(problemsOf(() => defineError(code, status, title))[0]).toContain(problem);
  });
});

describe("a job is refused", () => {
  const run = async () => {};
  it.each<[string, object]>([
    [
      'schedule "every day" is not a cron expression of five fields',
      { run, schedule: "every day" },
    ],
    ['schedule "61 * * * *" is not', { run, schedule: "61 * * * *" }],
    ['schedule "0 24 * * *" is not', { run, schedule: "0 24 * * *" }],
    ['schedule "*/0 * * * *" is not', { run, schedule: "*/0 * * * *" }],
    ['schedule "@daily" is not', { run, schedule: "@daily" }],
    ['schedule "0 0 30 2 *" names a day that no year has', { run, schedule: "0 0 30 2 *" }],
    ["runs without data", { run, schedule: "0 3 * * *", data: Type.Object({ id: Type.String() }) }],
    ["run is undefined", {}],
    ["data is undefined", { run, data: undefined }],
    ["retrys is not an option; did you mean retries?", { run, retrys: 3 }],
    ["retries must be a number of at least 0", { run, retries: -1 }],
  ])("if %s", (problem, options) => {
    const [found] = problemsOf(() => job("notes.sweep", options as { run: typeof run }));
    expect(found).toContain("job notes.sweep: ");
    expect(found).toContain(problem);
  });

  it("but not for a valid cron schedule", () => {
    for (const schedule of ["0 3 * * *", "*/5 8-18 1,15 jan-jun mon-fri", "0 0 * * 7"]) {
      expect(problemsOf(() => job("notes.sweep", { run, schedule }))).toEqual([]);
    }
  });
});

describe("a mail is refused", () => {
  const welcome = { name: "welcome", about: "x", subject: "Hello", body: ["{{ name }}"] };
  it("if its texts use undeclared values", () => {
    const described = { ...welcome, values: { nama: "Ada" } };
    expect(problemsOf(() => mailTemplate(described, () => ({})))).toEqual([
      "mail welcome: {{ name }} is neither in its values nor in its links; did you mean nama?",
    ]);
  });
  it("if its name is malformed", () => {
    const named = { ...welcome, name: "Wel come", values: { name: "Ada" } };
    expect(problemsOf(() => mailTemplate(named, () => ({})))[0]).toContain("lower case");
  });
});
