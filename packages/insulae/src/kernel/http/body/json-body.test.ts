import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shortestRun } from "../../../testing/processor-time.ts";
import { parseJsonBody } from "./json-body.ts";

const parse = (text: string) => parseJsonBody(Buffer.from(text));

/** A decimal number as an integer and the exponent of its smallest unit. */
function exactly(text: string): string {
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  let digits = BigInt(whole + fraction);
  let power = Number(exponent) - fraction.length;
  if (digits === 0n) return "0";
  for (; digits % 10n === 0n; digits /= 10n) power += 1;
  return `${sign}${digits}e${power}`;
}

describe("a JSON body", () => {
  it("is parsed like JSON.parse does", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        fc.pre(!text.includes("__proto__"));
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["a doubled key", '{"a":1,"a":2}'],
    ["a key doubled through an escape", '{"a":1,"\\u0061":2}'],
    ["a doubled key further in", '[{"b":{"a":1,"c":[],"a":2}}]'],
    ["a doubled number as a key", '{"1":1,"1":2}'],
    ["__proto__", '{"__proto__":{"admin":true}}'],
    ["__proto__ through an escape", '{"\\u005f_proto__":{"admin":true}}'],
    ["__proto__ further in", '{"a":[{"__proto__":1}]}'],
    ["constructor.prototype", '{"constructor":{"prototype":{"admin":true}}}'],
    ["NUL in a string", '{"a":"\\u0000"}'],
    ["NUL in a key", '{"\\u0000":1}'],
    ["a lone high surrogate", '{"a":"\\ud800"}'],
    ["a lone low surrogate", '{"a":["\\udc00"]}'],
    ["nothing but an open string", '{"a":"\\"'],
    ["33 levels", `${"[".repeat(33)}${"]".repeat(33)}`],
    ["100,000 levels", "[".repeat(100_000)],
    ["100,000 levels of objects", '{"a":'.repeat(100_000)],
  ])("with %s is refused", (_what, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "malformed_json" }));
  });

  it("that is not UTF-8 is refused", () => {
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(() => parseJsonBody(body)).toThrow(expect.objectContaining({ code: "malformed_json" }));
  });

  it.each([
    ["32 levels", `${"[".repeat(32)}${"]".repeat(32)}`],
    ["colons, quotes and brackets in strings", '{"a":"{\\"a\\":[[[\\\\","b":"\\\\\\\\"}'],
    ["a surrogate pair", '{"a":"\\ud83d\\ude00"}'],
    ["the same key in two objects", '[{"a":1},{"a":2}]'],
    ["the word constructor", '{"constructor":"Brunel"}'],
    ["an escaped backslash before u0000", '{"a":"\\\\u0000"}'],
  ])("with %s is accepted", (_what, text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ["9007199254740993", ""],
    ['{"settings":{"custom":{"n":9007199254740993}}}', "/settings/custom/n"],
    ['{"a":[1,{"b/c~":[0,-1e400]}]}', "/a/1/b~1c~0/1"],
    ['{"\\"a":{},"b":1E400}', "/b"],
    ["[1e-400]", "/0"],
    ["[1.00000000000000001]", "/0"],
    ["[123456789012345678.5]", "/0"],
    ["[12345678901234567890, 1e400]", "/0"],
  ])("with the number of %s, which would change, is refused with its pointer", (text, pointer) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "inexact_number",
        errors: [expect.objectContaining({ pointer: `/body${pointer}` })],
      }),
    );
  });

  it.each([
    "[9007199254740992, -9007199254740991, 18014398509481984]",
    "[1e22, 1E+22, 1.0, 1.50e3, 100000000000000000000, 1.7976931348623157e308, 5e-324]",
    "[0.1, 0.30000000000000004, 3.141592653589793, 0.0, -0, 0e999, 1.000000000000000000]",
    '{"a":"9007199254740993","9007199254740993":1}',
  ])("keeps the numbers of %s", (text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it("either refuses a number or parses it to the same value", () => {
    const number = fc.oneof(
      fc.stringMatching(/^-?(0|[1-9][0-9]{0,22})$/),
      fc.stringMatching(/^-?(0|[1-9][0-9]{0,9})\.[0-9]{1,12}$/),
      fc.stringMatching(/^[1-9](\.[0-9]{1,5})?[eE][+-]?[0-9]{1,3}$/),
    );
    fc.assert(
      fc.property(number, (text) => {
        let value: unknown;
        try {
          value = parse(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "inexact_number" });
          return;
        }
        expect(exactly(String(value))).toBe(exactly(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["numbers with exponents", "1e5,", 1],
    ["numbers with large exponents", "1e300,", 1],
    ["zeros with exponents", "0e999,", 1],
    ["long numbers with exponents", "1.2345678901234567e-7,", 1],
    ["empty objects", "{},", 2],
    ["objects with a key each", '{"":0},', 3],
    ["escapes", '"\\u0041",', 1],
  ])(
    "of 1 MiB of %s, or as many as are allowed, costs no more than JSON.parse",
    (_what, piece, parts) => {
      const filling = (piece: string) => Math.floor(1_048_000 / piece.length);
      const objects = `[${"{},".repeat(filling("{},"))}0]`;
      const plain = shortestRun(() => JSON.parse(objects));
      for (const pieces of [filling(piece), Math.floor(49_990 / parts)]) {
        for (const last of ["0", "1e400"]) {
          const bytes = Buffer.from(`[${piece.repeat(pieces)}${last}]`);
          const spent = shortestRun(() => {
            try {
              parseJsonBody(bytes);
            } catch {} // a refusal may cost no more
          });
          // A naive parser took 15 to 70. Coverage instrumentation slows ours, but not the
          // engine's.
          expect(spent / plain).toBeLessThan(10);
        }
      }
    },
  );

  it("has at most 50,000 commas, colons and opening brackets", () => {
    const nested = (pairs: number) => `[${'{"a":0},'.repeat(pairs)}0]`; // three for each, and one
    for (const text of [
      `[${"0,".repeat(49_999)}0]`,
      `${nested(16_666)} `.replace("[{", "[0,{"),
      JSON.stringify(",:[{".repeat(20_000)),
    ]) {
      expect(parse(text)).toEqual(JSON.parse(text));
    }
    for (const text of [`[${"0,".repeat(50_000)}0]`, nested(16_667), ":".repeat(50_001)]) {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({
          code: "body_too_large",
          detail: expect.stringContaining("50000"),
        }),
      );
    }
  });

  it("has a pointer for a changed number in the first 64 KiB only", () => {
    const errorsAt = (position: number) => {
      try {
        parse(`["${"a".repeat(position - 4)}",1e400]`);
      } catch (error) {
        return (error as { errors: unknown }).errors;
      }
      return undefined;
    };
    expect(errorsAt(65_536)).toEqual([expect.objectContaining({ pointer: "/body/1" })]);
    expect(errorsAt(65_537)).toEqual([]);
  });

  it("of 1 MiB of quotes and backslashes is read in under 100 ms", () => {
    const text = JSON.stringify({ a: '\\"'.repeat(260_000) });
    expect(shortestRun(() => parse(text))).toBeLessThan(100);
  });

  it("that is empty is undefined", () => {
    expect(parse("")).toBeUndefined();
  });
});
