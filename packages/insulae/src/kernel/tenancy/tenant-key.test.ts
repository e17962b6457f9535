import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import { canonicalTenantKey, slugOf } from "./tenant-key.ts";

describe("a tenant's key", () => {
  test.each([
    ["acme_corp", "acme_corp"],
    ["ACME", "acme"],
    ["Ａｃｍｅ", "acme"],
    ["a", "a"],
    ["7up", "7up"],
    ["x".repeat(63), "x".repeat(63)],
  ])("%s has the canonical form %s", (input, key) => {
    expect(canonicalTenantKey(input)).toBe(key);
  });

  test.each([
    "",
    "-a",
    "a-",
    "a_",
    "a b",
    "a.b",
    "straße",
    "ıstanbul",
    "cafe\u0301",
    "x".repeat(64),
    "a'b",
    "12",
    "１２",
    "123e4567-e89b-12d3-a456-426614174000",
    "123E4567-E89B-12D3-A456-426614174000",
    "123e4567_e89b_12d3_a456_426614174000",
    "a\nb",
    "a\0b",
    "123",
  ])("%j is refused", (input) => {
    expect(() => canonicalTenantKey(input)).toThrow(
      expect.objectContaining({ code: "invalid_tenant_key" }),
    );
  });

  test.each([
    "www",
    "admin",
    "api",
    "public",
    "pg_x",
    "pg-x",
    "template1",
    "xn--x",
    "ab--c",
    "swagger_ui",
  ])("%s is reserved", (input) => {
    expect(() => canonicalTenantKey(input)).toThrow(
      expect.objectContaining({ code: "reserved_tenant_key" }),
    );
  });

  test("that is accepted is canonical already, and its slug is a DNS label", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), anyText(), fc.stringMatching(/^[a-zA-Z0-9_-]{1,70}$/)),
        (input) => {
          let key: string;
          try {
            key = canonicalTenantKey(input);
          } catch {
            return;
          }
          expect(canonicalTenantKey(key)).toBe(key);
          expect(slugOf(key)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
