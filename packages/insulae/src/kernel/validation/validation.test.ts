import { Type } from "typebox";
import { expect, test } from "vitest";
import { createValidators } from "./validation.ts";

const id = Type.String({ format: "uuid" });
const written = "0190C9C0-0000-7000-8000-00000000000A";

test("an id is in lower case, wherever it stands, so that it can be compared as text", () => {
  const body = Type.Object({
    id,
    none: Type.Union([id, Type.Null()]),
    list: Type.Array(id),
    name: Type.String(),
  });
  const value = { id: written, none: written, list: [written], name: "ABC" };
  createValidators()(body, "body")(value);
  const lower = written.toLowerCase();
  expect(value).toEqual({ id: lower, none: lower, list: [lower], name: "ABC" });
});

test.each(["query", "params"] as const)("a number in %s is in decimal notation", (part) => {
  const schema = Type.Object({
    limit: Type.Optional(Type.Integer()),
    ratio: Type.Optional(Type.Number()),
    ids: Type.Optional(Type.Array(Type.Integer())),
  });
  const validate = createValidators()(schema, part);
  const good = { limit: "-10", ratio: "0.5", ids: ["1", "2"] };
  validate(good);
  expect(good).toEqual({ limit: -10, ratio: 0.5, ids: [1, 2] });
  for (const text of ["0x10", "0b1", "1e2", "+5", " 1", "1 ", "1.0", "", "١"]) {
    const errors = [{ pointer: `/${part}/limit`, message: "must be integer" }];
    expect(() => validate({ limit: text })).toThrow(expect.objectContaining({ errors }));
    expect(() => validate({ ids: ["1", text] })).toThrow("route's schema");
    if (text !== "1.0") expect(() => validate({ ratio: text })).toThrow("route's schema");
  }
});
