import fc from "fast-check";
import { expect, test } from "vitest";
import { Json } from "../lib/json.ts";
import { cutPage } from "./json-page.ts";

test("a page that fits is unchanged", () => {
  expect(cutPage('{"id":1},\n{"id":2}', 2, 2)).toEqual({
    items: '{"id":1},\n{"id":2}',
    last: undefined,
  });
  expect(cutPage("", 0, 25)).toEqual({ items: "", last: undefined });
});

test("a full page is unchanged, and more may follow its last row", () => {
  const items = '{"id":1},\n{"id":2}';
  expect(cutPage(items, 2, 5, true)).toEqual({ items, last: '{"id":2}' });
  expect(cutPage('{"id":1}', 1, 5, true)).toEqual({ items: '{"id":1}', last: '{"id":1}' });
  expect(cutPage(items, 2, 1, true)).toEqual({ items: '{"id":1}', last: '{"id":1}' });
});

test("any page is cut at its limit, whatever its rows contain", () => {
  const row = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(",\n")));
  fc.assert(
    fc.property(fc.array(row, { minLength: 2, maxLength: 10 }), (rows) => {
      const limit = rows.length - 1;
      const { items, last } = cutPage(
        rows.map((each) => JSON.stringify(each)).join(",\n"),
        rows.length,
        limit,
      );
      expect(JSON.parse(`[${items}]`)).toEqual(JSON.parse(JSON.stringify(rows.slice(0, limit))));
      expect(last).toBe(JSON.stringify(rows[limit - 1]));
    }),
  );
});

test("a page whose rows contain newlines is cut between rows", () => {
  // PostgreSQL keeps the original text of json values in row_to_json.
  const value = fc
    .jsonValue()
    .chain((json) => fc.constantFrom(0, 1, "\n").map((space) => JSON.stringify(json, null, space)));
  const row = fc.tuple(fc.string(), value).map(([key, text]) => `{${JSON.stringify(key)}:${text}}`);
  const lines = fc.constant('{"a":[1,\n2],\n"b":"},{\\",\\n"}');
  fc.assert(
    fc.property(fc.array(fc.oneof(row, lines), { minLength: 2, maxLength: 8 }), (rows) => {
      const limit = rows.length - 1;
      const { items, last } = cutPage(rows.join(",\n"), rows.length, limit);
      expect(items).toBe(rows.slice(0, limit).join(",\n"));
      expect(last).toBe(rows[limit - 1]);
    }),
  );
});

test("JSON text inside a serialised value is its value", () => {
  expect(JSON.stringify({ inner: new Json('{"id":1}') })).toBe('{"inner":{"id":1}}');
});
