import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCursors } from "./cursor.ts";

const cursors = createCursors("a secret of at least thirty-two bytes");
const place = { tenantId: "a", list: "GET /api/v1/contacts", order: "name asc" };
const refused = expect.objectContaining({ code: "invalid_cursor", status: 400 });

describe("a cursor", () => {
  it("decodes to the key it was made from, as text", () => {
    const codec = cursors(place);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.integer(), fc.boolean())), (key) => {
        expect(codec.decode(codec.encode(key))).toEqual(key.map(String));
      }),
    );
  });

  it.each([
    ["another tenant", { ...place, tenantId: "b" }],
    ["another list", { ...place, list: "GET /api/v1/orders" }],
    ["another order", { ...place, order: "name desc" }],
  ])("of %s is refused", (_what, other) => {
    const cursor = cursors(other).encode(["x"]);
    expect(() => cursors(place).decode(cursor)).toThrow(refused);
  });

  it("of an installation with another secret is refused", () => {
    const cursor = createCursors("another secret of thirty-two bytes")
      .apply(undefined, [place])
      .encode(["x"]);
    expect(() => cursors(place).decode(cursor)).toThrow(refused);
  });

  it("is refused if any character is changed, removed or added", () => {
    const codec = cursors(place);
    const cursor = codec.encode(["0190c9c0-0000-7000-8000-000000000001"]);
    for (let i = 0; i < cursor.length; i++) {
      const other = cursor[i] === "A" ? "B" : "A";
      const changed = cursor.slice(0, i) + other + cursor.slice(i + 1);
      expect(() => codec.decode(changed)).toThrow(refused);
      expect(() => codec.decode(cursor.slice(0, i))).toThrow(refused);
    }
    expect(() => codec.decode(`${cursor}A`)).toThrow(refused);
    expect(() => codec.decode(`${cursor}=`)).toThrow(refused);
  });

  it("can't be forged", () => {
    const codec = cursors(place);
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => codec.decode(text)).toThrow(refused);
      }),
    );
  });

  it("can't be made from a key with a null, which no comparison would find again", () => {
    expect(() => cursors(place).encode([null])).toThrow(TypeError);
  });
});
