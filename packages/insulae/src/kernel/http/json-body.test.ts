import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shortestRun } from "../../testing/processor-time.ts";
import { parseJsonBody } from "./json-body.ts";

const parse = (text: string) => parseJsonBody(Buffer.from(text));

describe("a JSON body", () => {
  it("is read as JSON.parse reads it", () => {
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
  ])("with %s is taken", (_what, text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it("of 1 MiB of quotes and backslashes is read in under 100 ms", () => {
    const text = JSON.stringify({ a: '\\"'.repeat(260_000) });
    expect(shortestRun(() => parse(text))).toBeLessThan(100);
  });

  it("that is empty is nothing", () => {
    expect(parse("")).toBeUndefined();
  });
});
