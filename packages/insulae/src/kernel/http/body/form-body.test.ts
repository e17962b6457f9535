import { Type } from "typebox";
import { describe, expect, it, test } from "vitest";
import { alsoAsForm, isBodyOptional, mayBeAbsent, parseForm, takesForm } from "./form-body.ts";

const parsed = (text: string | Buffer) => parseForm(Buffer.from(text));

describe("a form", () => {
  it("becomes an object of its fields", () => {
    expect(parsed("username=ada%40x.org&password=a+b%26c&scope=")).toEqual({
      username: "ada@x.org",
      password: "a b&c",
      scope: "",
    });
    expect(parsed("")).toEqual({});
    expect(Object.hasOwn(parsed("__proto__=1"), "__proto__")).toBe(true);
  });

  it.each([
    ["a field twice", "username=a&username=b"],
    ["a NUL", "username=a%00b"],
    ["bytes that are not UTF-8", "username=%ff"],
    ["raw bytes that are not UTF-8", Buffer.from([0x61, 0x3d, 0xff])],
    ["too many fields", Array.from({ length: 51 }, (_, at) => `f${at}=`).join("&")],
  ])("with %s is refused", (_what, text) => {
    expect(() => parsed(text)).toThrow(expect.objectContaining({ code: "malformed_fields" }));
  });
});

test("is accepted, or may be absent, if the schema says so", () => {
  const plain = Type.Object({});
  expect([takesForm(plain), isBodyOptional(plain), takesForm(undefined)]).toEqual(
    Array(3).fill(false),
  );
  expect(takesForm(Type.Object({}, alsoAsForm))).toBe(true);
  expect(isBodyOptional(Type.Object({}, mayBeAbsent))).toBe(true);
});
