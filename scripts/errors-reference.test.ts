import { expect, it } from "vitest";
import { duplicates, readDefinitions } from "./errors-reference.ts";

const definitionsOf = (...calls: readonly string[]) =>
  calls.flatMap((call, at) => readDefinitions(`${at}.ts`, call).definitions);

it("an error is found wherever it is defined", () => {
  const inside =
    'const refused = challenging(\n  defineError("no_way", 401, "No way"),\n  "Bearer");';
  expect(definitionsOf(inside)).toEqual([
    { file: "0.ts", code: "no_way", status: 401, title: "No way" },
  ]);
});

it("a definition built at run time is refused", () => {
  const { problems } = readDefinitions("a.ts", "\nconst e = defineError(code, 404, title);");
  expect(problems).toEqual([expect.stringMatching(/^a\.ts:2 /)]);
});

it("a code with two definitions is refused, and so is a title with two codes", () => {
  const one = 'defineError("gone", 404, "It is gone")';
  expect(duplicates(definitionsOf(one, 'defineError("gone", 410, "Gone")'))).toEqual([
    "the code gone is defined 2 times: gone in 0.ts and gone in 1.ts",
  ]);
  expect(duplicates(definitionsOf(one, 'defineError("lost", 404, "It is gone")'))).toEqual([
    'the title "It is gone" (404) is defined 2 times: gone in 0.ts and lost in 1.ts',
  ]);
  expect(duplicates(definitionsOf(one, 'defineError("lost", 410, "It is gone")'))).toEqual([]);
});
