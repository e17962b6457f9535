import { describe, expect, test } from "vitest";
import { contrastOf, legible } from "../src/lib/color.ts";

describe("contrast", () => {
  test("is that of WCAG", () => {
    expect(contrastOf("#000000", "#ffffff")).toBeCloseTo(21);
    expect(contrastOf("#777777", "#ffffff")).toBeCloseTo(4.48, 2);
    expect(contrastOf("#0958d9", "#ffffff")).toBe(contrastOf("#ffffff", "#0958d9"));
  });

  test.each(["#ffe600", "#ff4d4f", "#ffffff", "#000000", "#1677ff"])(
    "%s can be read on light and dark once it is made legible",
    (color) => {
      for (const ground of ["#f5f6f8", "#20242b"]) {
        expect(contrastOf(legible(color, ground) ?? color, ground)).toBeGreaterThanOrEqual(4.5);
      }
    },
  );

  test("a colour that can be read stays as it is", () => {
    expect(legible("#0958d9", "#ffffff")).toBe("#0958d9");
  });

  test.each([undefined, "", "red", "#12345", "url(//example.com)", 7])(
    "%s is no colour",
    (text) => {
      expect(legible(text, "#ffffff")).toBeUndefined();
    },
  );
});
