import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import type { TenantId } from "./ids.ts";
import { tenantKey } from "./tenant-keys.ts";

const parts = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", ":", "%", "0", "3", "A", "\ud800") }),
  {
    maxLength: 4,
  },
);
/** What Redis keeps of it. */
const stored = (key: string): string => Buffer.from(key).toString("hex");

describe("a tenant's keys", () => {
  test("are told apart, whatever their parts are", () => {
    const a = "a" as TenantId;
    const keys = [
      tenantKey(a, "a:b", "c"),
      tenantKey(a, "a", "b:c"),
      tenantKey(a, "a", "b", "c"),
      tenantKey(a, "a%003Ab", "c"),
      tenantKey(a, "a:b:c"),
      tenantKey(a),
      tenantKey(a, ""),
      tenantKey(undefined, "a"),
      tenantKey("%" as TenantId, "a"),
    ];
    expect(new Set(keys.map(stored)).size).toBe(keys.length);
  });

  test("are equal only where tenant and parts are", () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const [a = "", ...rest] = one;
        const [b = "", ...others] = other;
        const same = JSON.stringify([a, rest]) === JSON.stringify([b, others]);
        expect(
          stored(tenantKey(a as TenantId, ...rest)) === stored(tenantKey(b as TenantId, ...others)),
        ).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });

  test("hold every string", () => {
    fc.assert(
      fc.property(anyText(), anyText(), (one, other) => {
        const equal = stored(tenantKey(undefined, one)) === stored(tenantKey(undefined, other));
        expect(equal).toBe(one === other);
      }),
    );
  });
});
