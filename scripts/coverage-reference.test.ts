import { describe, expect, it } from "vitest";
import { annotationsIn } from "./annotations.ts";
import { pageOf, problemsOf } from "./coverage-reference.ts";
import { type Requirement, sourceIn, sources } from "./requirements.ts";

const shownIn = (...lines: string[]) => annotationsIn("a.test.ts", lines.join("\n"));

describe("an annotation", () => {
  it.each([
    ["test", 'test("it works", () => {});'],
    ["it in a describe", '  it("it works", async () => {'],
    ["describe", 'describe("it works", () => {'],
    ["describe that may be left out", 'describe.skipIf(!there)("it works", () => {'],
    ["table", "it.each([\n  [1, 2],\n])('it works', () => {"],
    ["typed table", "test.each<[string, (a: string) => void]>([\n  [1],\n])(\n  `it works`,"],
  ])("is read above a %s", (_, code) => {
    const { shown, problems } = shownIn("// Shows S1-023, S1-024", "  // Shows S0-001", code);
    expect(problems).toEqual([]);
    expect(shown).toEqual(
      ["S1-023", "S1-024", "S0-001"].map((id) => ({ id, file: "a.test.ts", test: "it works" })),
    );
  });

  it("names the describes that its test is in, and no others", () => {
    const { shown } = shownIn(
      'describe("before", () => {',
      '  test("a", () => {});',
      "});",
      'describe.each([1, 2])("a tenant", (n) => {',
      "  describe(",
      '    "that is suspended",',
      "    () => {",
      "      // Shows S1-001",
      '      test("waits", () => {});',
      "    },",
      "  );",
      "});",
      "describeWithRedis.each([",
      "  [1],",
      '])("on %i nodes", () => {',
      "  const text = `",
      "{",
      "}`;",
      "  // Shows S1-002",
      '  test("goes on", () => {});',
      "});",
      "for (const one of [1, 2]) {",
      "  // Shows S1-003",
      '  test("stands alone", () => {});',
    );
    expect(shown.map(({ test }) => test)).toEqual([
      "a tenant › that is suspended › waits",
      "on %i nodes › goes on",
      "stands alone",
    ]);
  });

  it.each([
    ["a line in between", ["// Shows S1-023", "", 'test("a", () => {});']],
    ["a comment in between", ["// Shows S1-023", "// and why", 'test("a", () => {});']],
    ["something that is no test", ["// Shows S1-023", "const a = 1;"]],
    ["a name that can't be read", ["// Shows S1-023", "test(name, () => {});"]],
    ["more than the ids", ["// Shows S1-023: well", 'test("a", () => {});']],
    ["another spelling", ["// shows S1-23", 'test("a", () => {});']],
    ["a comment of another kind", ["/* Shows S1-023 */", 'test("a", () => {});']],
  ])("is refused with %s", (_, lines) => {
    const { shown, problems } = shownIn(...lines);
    expect(shown).toEqual([]);
    expect(problems).toHaveLength(1);
  });
});

const requirement = (more: Partial<Requirement> = {}): Requirement => ({
  id: "S1-001",
  title: "works",
  done: ["a.ts"],
  replaced: undefined,
  ...more,
});
const shown = [{ id: "S1-001", file: "a.test.ts", test: "a *test*" }];
const exists = (file: string) => ["a.ts", "docs/why.md"].includes(file);

describe("a requirement", () => {
  it.each([
    ["a test", requirement(), shown],
    ["a decision", requirement({ done: [], replaced: "Better so: docs/why.md." }), []],
  ])("may have %s", (_, one, tests) => {
    expect(problemsOf([one], tests, exists)).toEqual([]);
  });

  it.each([
    ["neither test nor decision", requirement(), [], "has no test"],
    ["no place", requirement({ done: [] }), shown, "where it is done"],
    ["a place that is gone", requirement({ done: ["b.ts"] }), shown, "names b.ts"],
    ["a document that is gone", requirement({ replaced: "docs/no.md" }), [], "names docs/no.md"],
    ["a test of something unknown", requirement({ id: "S1-002" }), shown, "shows S1-001"],
  ])("is refused with %s", (_, one, tests, problem) => {
    const [found = ""] = problemsOf([one], tests, exists);
    expect(found).toContain(problem);
  });

  it("is written with its title, and with nothing else than what is known", () => {
    const read = (entry: string) =>
      sourceIn("S1", `system: a\nrequirements:\n  S1-001: ${entry}\n`).problems;
    expect(read("{ title: a, done: [a.ts] }")).toEqual([]);
    expect(read("{ done: [a.ts] }")).toHaveLength(1);
    expect(read(`{ title: "${"a".repeat(101)}" }`)).toHaveLength(1);
    expect(read("{ title: a, finished: [a.ts] }")).toHaveLength(1);
    expect(read("{ title: a, done: a.ts }")).toHaveLength(1);
    expect(sourceIn("S1", "system: a\nrequirements:\n  S1-002: { title: a }").problems).toEqual([
      "S1-002 out of turn",
    ]);
  });

  it("is a row of the page, with what is special to Markdown escaped", () => {
    const other = requirement({ id: "S1-002", title: "a|b", replaced: "See docs/why.md." });
    const page = pageOf([{ name: "S1", system: "a", requirements: [requirement(), other] }], shown);
    expect(page).toContain(
      "| S1-001 | works | [a.ts](../a.ts) | [a.test.ts](../a.test.ts): a \\*test\\* |",
    );
    expect(page).toContain("| S1-002 | a\\|b | [a.ts](../a.ts) | See [docs/why.md](why.md). |");
  });
});

it("no requirement of any source has been left out", () => {
  const counts = sources().sources.map(({ name, requirements }) => [name, requirements.length]);
  expect(Object.fromEntries(counts)).toEqual({ S0: 96, S1: 189, S2: 93, S3: 64, S4: 44 });
});
