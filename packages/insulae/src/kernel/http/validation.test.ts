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
