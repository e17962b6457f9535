import fc from "fast-check";
import { expect, it } from "vitest";
import { createRecent } from "./recent.ts";

it("knows percentiles to within a few per cent", () => {
  const duration = fc.double({ min: 0.0005, max: 60, noNaN: true });
  fc.assert(
    fc.property(fc.array(duration, { minLength: 1, maxLength: 200 }), (values) => {
      const recent = createRecent();
      for (const value of values) recent.observe(value, 1);
      const sorted = values.toSorted((a, b) => a - b);
      const quantiles = [0.5, 0.95, 0.99, 1];
      recent.read(quantiles, 2).forEach((found, at) => {
        const exact = sorted[Math.ceil((quantiles[at] ?? 1) * sorted.length) - 1] ?? 0;
        expect(Math.abs(found - exact) / exact).toBeLessThan(0.05);
      });
    }),
  );
});

it("forgets what is longer ago than ten minutes", () => {
  const recent = createRecent();
  expect(recent.read([0.5], 0)).toEqual([Number.NaN]);
  recent.observe(1, 0);
  expect(recent.read([0.5], 299_999)[0]).toBeCloseTo(1, 1);
  recent.observe(0.001, 300_001);
  expect(recent.read([1], 300_001)[0]).toBeCloseTo(1, 1);
  expect(recent.read([1], 600_002)[0]).toBeCloseTo(0.001, 4);
  expect(recent.read([1], 2_000_000)).toEqual([Number.NaN]);
});
