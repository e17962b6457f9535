import { expect, test, vi } from "vitest";
import { createRefusalDelay } from "./refusal-delay.ts";

test("a few refusals a second are immediate; the next are delayed, up to a maximum", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const delay = createRefusalDelay({ perSecond: 2, ms: 1, most: 3 });
    const first = Array.from({ length: 7 }, delay);
    expect(first.map((wait) => wait !== undefined)).toEqual([
      ...[false, false],
      ...[true, true, true],
      ...[false, false],
    ]);
    await Promise.all(first);
    expect(delay()).toBeDefined();
    vi.advanceTimersByTime(1_000);
    expect(delay()).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});
