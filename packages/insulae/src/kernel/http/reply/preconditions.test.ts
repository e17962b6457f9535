import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionOf, entityTagOf, requireCondition } from "./preconditions.ts";

const tag = entityTagOf("what there is");

const passes = (headers: Record<string, string>): boolean => {
  try {
    const condition = conditionOf(headers);
    if (condition) requireCondition(condition, tag);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "precondition_failed", status: 412 });
    return false;
  }
};

describe("If-Match and If-None-Match", () => {
  test("are no condition if absent", () => {
    expect(conditionOf({})).toBeUndefined();
  });

  test.each([
    ["the tag", tag, true],
    ["any", "*", true],
    ["any, with spaces", " * ", true],
    ["another", '"another"', false],
    ["a list that has it", `"a,b" ,, ${tag}`, true],
    ["a list that has it not", `"a", W/"b"`, false],
    ["the tag as a weak one", `W/${tag}`, false],
    ["the empty tag", '""', false],
    ["its beginning", `${tag.slice(0, -2)}"`, false],
  ])("a change happens only if the current state is %s", (_name, ifMatch, done) => {
    expect(passes({ "if-match": ifMatch })).toBe(done);
  });

  test.each([
    ["the tag", tag, false],
    ["any", "*", false],
    ["the tag as a weak one", `W/${tag}`, false],
    ["another", '"another"', true],
  ])("If-None-Match refuses a change of %s", (_name, ifNoneMatch, done) => {
    expect(passes({ "if-none-match": ifNoneMatch })).toBe(done);
  });

  test.each([
    "",
    " ",
    ",",
    "abc",
    '"abc',
    'abc"',
    '"a" "b"',
    '"a";"b"',
    'w/"a"',
    'W/ "a"',
    '"a b"',
    '"a"b',
    "*, *",
    '*, "a"',
    '"a", *',
    "'a'",
    '"a\u007f"',
  ])("%j is not well-formed", (header) => {
    for (const name of ["if-match", "if-none-match"]) {
      expect(() => conditionOf({ [name]: header })).toThrow(
        expect.objectContaining({ code: "invalid_entity_tag", status: 400 }),
      );
    }
  });

  test("any list of tags is parsed as it was written", () => {
    const text = fc.stringMatching(/^[!#-~]{0,20}$/);
    const written = fc
      .record({ weak: fc.boolean(), text })
      .map((t) => `${t.weak ? "W/" : ""}"${t.text}"`);
    const separator = fc.constantFrom(",", ", ", " ,\t", ",,", " , , ");
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 5 }), separator, (tags, between) => {
        expect(conditionOf({ "if-match": tags.join(between) })?.ifMatch).toEqual(tags);
      }),
    );
  });

  test("a long malformed header is refused", () => {
    for (const header of [
      `"a"${" ".repeat(50_000)}x`,
      `${", ".repeat(50_000)}x`,
      '"'.repeat(50_001),
    ]) {
      expect(() => conditionOf({ "if-match": header })).toThrow();
    }
  });
});
