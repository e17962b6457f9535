import { expect, test } from "vitest";
import { firstWordsOf } from "./sql-statements.ts";

const words = (text: string) => firstWordsOf(text).map((each) => each.join(" "));

test("statements are separated by semicolons", () => {
  expect(words("create table a (b int); COMMIT;\n;  insert into a values (1)")).toEqual([
    "create table",
    "commit",
    "insert into",
  ]);
  expect(words(" -- nothing\n /* nor /* here; */ commit; */ ")).toEqual([]);
});

test.each([
  ["a text", "select 'a; commit; it''s'"],
  ["a text with backslashes", String.raw`select e'a\'; commit;'`],
  ["a name", 'select "a; commit;"'],
  ["a body", "do $$ begin commit; end $$"],
  ["a body with a name", "do $body$ select '$$'; commit; $body$"],
  ["a comment", "select 1 -- ; commit;"],
  [
    "a body of SQL",
    "create function f() returns int begin atomic select case when true then 1 end; end",
  ],
])("a semicolon in %s separates nothing", (_what, text) => {
  expect(firstWordsOf(text)).toHaveLength(1);
  expect(words(`${text}\n; rollback`).at(-1)).toBe("rollback");
});

test.each(["select 'open", 'select "open', "do $$ open", "select /* open"])(
  "an unclosed construct extends to the end: %s",
  (text) => {
    expect(firstWordsOf(`${text}; commit`).length).toBeGreaterThan(0);
  },
);
