import { expect, it } from "vitest";
import { problemsIn } from "./regular-expressions.ts";

it.each([
  ["restarts at each place", String.raw`text.match(/\bey[\w-]+\./g)`],
  ["restarts before an end", String.raw`text.replace(/\s+$/, "")`],
  ["a repeat between others", String.raw`text.match(/[?&]([\w.-]*(token|key)[\w.-]*)=/i)`],
  ["a repeat of repeats", "const bad = /^(a+)+$/;"],
  ["a pattern of a schema", 'Type.String({ pattern: "^(a|a)*$" })'],
  ["a constructed one", 'new RegExp("^(a*)*$")'],
  ["a text that is not known before", "new RegExp(text)"],
])("a regular expression with %s is refused", (_what, text) => {
  expect(problemsIn("a.ts", `// first\n${text}`)).toEqual([expect.stringMatching(/^a\.ts:2 /)]);
});

it("normalising a text of unbounded length is refused", () => {
  expect(problemsIn("a.ts", 'text.normalize("NFC")')).toHaveLength(1);
});

it.each([
  ["one that is linear", String.raw`/^[\w-]+(\.[\w-]+)*$/.test(text)`],
  ["one whose repeats are bounded", String.raw`/\bik_[\w-]{20,64}/.test(text)`],
  ["a bounded text", "// Bounded: 100 characters, cut above\n/^(a+)+$/.test(text)"],
])("%s is accepted", (_what, text) => {
  expect(problemsIn("a.ts", text)).toEqual([]);
});
