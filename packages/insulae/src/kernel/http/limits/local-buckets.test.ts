import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Charge, createLocalBuckets, type Policy } from "./local-buckets.ts";

const charge = (key: string, perMinute: number, policy: Policy = "tenant"): Charge => ({
  policy,
  key,
  perMinute,
});

function bucketsAt(max?: number) {
  const clock = { now: 1_000_000 };
  const buckets = createLocalBuckets({ clock: () => clock.now, ...(max !== undefined && { max }) });
  /** How many of `count` requests at this time are granted. */
  const granted = (count: number, ...charges: Charge[]) => {
    let grantedCount = 0;
    for (let i = 0; i < count; i += 1) grantedCount += buckets.take(charges).refused < 0 ? 1 : 0;
    return grantedCount;
  };
  return { clock, buckets, granted };
}

describe("a bucket", () => {
  test("holds a minute's requests and regains them evenly", () => {
    const { clock, granted } = bucketsAt();
    const a = charge("a", 60);
    expect(granted(100, a)).toBe(60);
    clock.now += 999;
    expect(granted(1, a)).toBe(0);
    clock.now += 1;
    expect(granted(2, a)).toBe(1);
    clock.now += 600_000;
    expect(granted(100, a)).toBe(60);
  });

  test("may hold more or fewer requests than it regains in a minute", () => {
    const { clock, granted } = bucketsAt();
    const [deep, shallow] = [charge("a", 60), charge("b", 60)];
    expect(granted(200, { ...deep, size: 100 })).toBe(100);
    expect(granted(200, { ...shallow, size: 2 })).toBe(2);
    clock.now += 10_000;
    expect(granted(200, { ...deep, size: 100 })).toBe(10);
    expect(granted(200, { ...shallow, size: 2 })).toBe(2);
  });

  test("has no rounding errors, whatever the rate and times", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(fc.integer({ min: 0, max: 70_000 }), { minLength: 1, maxLength: 100 }),
        (perMinute, waits) => {
          const { clock, buckets } = bucketsAt();
          // In exact arithmetic, in units of a 60,000th of a request.
          const full = BigInt(perMinute) * 60_000n;
          let level = full;
          for (const wait of waits) {
            clock.now += wait;
            level += BigInt(wait) * BigInt(perMinute);
            if (level > full) level = full;
            const expected = level >= 60_000n;
            expect(buckets.take([charge("a", perMinute)]).refused < 0).toBe(expected);
            if (expected) level -= 60_000n;
          }
        },
      ),
    );
  });

  test("is charged together with the others or not at all", () => {
    const { granted } = bucketsAt();
    const [all, a, b] = [charge("all", 10, "global"), charge("a", 3), charge("b", 100)];
    expect(granted(1_000, all, a)).toBe(3);
    expect(granted(1_000, all, b)).toBe(7);
  });

  test("gives nothing away when the clock is set back, and continues", () => {
    const { clock, granted } = bucketsAt();
    const a = charge("a", 60);
    granted(60, a);
    clock.now -= 3_600_000;
    expect(granted(1, a)).toBe(0);
    clock.now += 1_000;
    expect(granted(2, a)).toBe(1);
  });

  test("follows a change of the rate", () => {
    const { clock, granted } = bucketsAt();
    expect(granted(2_000, charge("a", 1_000))).toBe(1_000);
    expect(granted(1, charge("a", 60))).toBe(0);
    clock.now += 1_000;
    expect(granted(2, charge("a", 60))).toBe(1);
    expect(granted(2_000, charge("a", 1_000))).toBe(940);
  });
});

describe("the table of buckets", () => {
  test("keeps every bucket in use, however many addresses an attacker has", () => {
    const { granted } = bucketsAt(100);
    const victim = charge("victim", 5, "credentials");
    expect(granted(10, victim)).toBe(5);
    for (let i = 0; i < 5_000; i += 1) granted(1, charge(`${i}`, 5, "credentials"));
    expect(granted(10, victim)).toBe(0);
    // The newcomers share a bounded number of additional buckets.
    let more = 0;
    for (let i = 5_000; i < 100_000; i += 1) more += granted(1, charge(`${i}`, 5, "credentials"));
    expect(more).toBeLessThanOrEqual(1_024 * 5);
  });

  test("does not grow with buckets that are full again", () => {
    const { clock, granted } = bucketsAt(100);
    for (let i = 0; i < 10_000; i += 1) {
      expect(granted(1, charge(`${i}`, 60, "anonymous"))).toBe(1);
      clock.now += 20;
    }
    // There is room: a newcomer gets its own bucket.
    expect(granted(61, charge("new", 60, "anonymous"))).toBe(60);
  });

  test("has room for tenants, whatever strangers do", () => {
    const { granted } = bucketsAt(2_000);
    for (let i = 0; i < 10_000; i += 1) granted(5, charge(`${i}`, 5, "anonymous"));
    // More than there are shared buckets.
    for (let i = 0; i < 2_000; i += 1) expect(granted(3, charge(`tenant ${i}`, 2))).toBe(2);
  });
});
