import { describe, expect, it } from "vitest";
import { pageOf, problemsOf } from "./coverage-reference.ts";
import { type Requirement, sourceIn, sources } from "./requirements.ts";
import { shownIn } from "./shown-by.ts";

const files = [
  ["packages/a/src/a.test.ts", 'describe("a tenant", () => {\n  test("can\\\'t", () => {});\n});'],
  ["acceptance/a.test.ts", "it.each([1])(`answers %s`, () => {});"],
] as const;

describe("a test that shows requirements", () => {
  it("is found by the base name of its file, wherever it is, and by its names", () => {
    const yaml = 'a.test.ts:\n  "a tenant › can\'t": [S1-023, S1-024]\n  "answers %s": [S0-001]\n';
    expect(shownIn(yaml, files)).toEqual({
      problems: [],
      shown: [
        { id: "S1-023", file: "packages/a/src/a.test.ts", test: "a tenant › can't" },
        { id: "S1-024", file: "packages/a/src/a.test.ts", test: "a tenant › can't" },
        { id: "S0-001", file: "acceptance/a.test.ts", test: "answers %s" },
      ],
    });
  });

  it.each([
    ["has been renamed", 'a.test.ts:\n  "a tenant › can": [S1-023]\n', 'has no test "a tenant'],
    ["is in no such describe", 'a.test.ts:\n  "a user › answers %s": [S1-023]\n', "has no test"],
    ["is in no such file", "b.test.ts:\n  answers %s: [S1-023]\n", "names b.test.ts"],
  ])("is refused if it %s", (_, yaml, problem) => {
    const { shown, problems } = shownIn(yaml, files);
    expect(shown).toEqual([]);
    expect(problems).toEqual([expect.stringContaining(problem)]);
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
    ["neither test nor decision", requirement(), [], "has neither a test nor"],
    ["no place", requirement({ done: [] }), shown, "does not name its implementation"],
    ["a place that is gone", requirement({ done: ["b.ts"] }), shown, "names b.ts"],
    ["a document that is gone", requirement({ replaced: "docs/no.md" }), [], "names docs/no.md"],
    ["a test of something unknown", requirement({ id: "S1-002" }), shown, "shows S1-001"],
  ])("is refused with %s", (_, one, tests, problem) => {
    const [found = ""] = problemsOf([one], tests, exists);
    expect(found).toContain(problem);
  });

  it("is written with its title, and without unknown members", () => {
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

  it("is a row of the page, with Markdown escaped", () => {
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
