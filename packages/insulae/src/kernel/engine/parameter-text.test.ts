import { createRequire } from "node:module";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parameterText } from "./parameter-text.ts";

// Not part of pg's typed API: the clients of this process send what it makes of a value.
const { prepareValue } = createRequire(import.meta.url)("pg/lib/utils") as {
  prepareValue: (value: unknown) => unknown;
};

const scalar = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(null, undefined, true, false, "", '"', "\\", "NULL", -0, Number.NaN),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.uint8Array({ maxLength: 8 }),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  fc.float32Array({ maxLength: 3 }),
  fc.date({ noInvalidDate: true }),
  fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue()),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof({ depthSize: "small" }, scalar, fc.array(tie("any"), { maxLength: 5 })),
})).any;

test("a parameter is sent as pg sends it", () => {
  fc.assert(
    fc.property(value, (each) => {
      expect(parameterText(each)).toEqual(prepareValue(each));
    }),
    { numRuns: 2_000 },
  );
});

test("a time before Christ is sent as pg sends it", () => {
  for (const year of [-44, -1, 0, 1, 99, 12_345]) {
    const date = new Date(0);
    date.setUTCFullYear(year, 5, 15);
    expect(parameterText(date)).toBe(prepareValue(date));
  }
});

test("a value that JSON has no text for is refused", () => {
  expect(() => parameterText({ n: 1n })).toThrow(TypeError);
});
