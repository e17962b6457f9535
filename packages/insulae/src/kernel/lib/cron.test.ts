import { describe, expect, it } from "vitest";
import { nextTime } from "./cron.ts";

const next = (expression: string, from = "2026-12-01T04:00:00.500Z") =>
  nextTime(expression, new Date(from))?.toISOString();

describe("the next time of a cron expression", () => {
  it.each([
    ["0 3 * * *", "2026-12-02T03:00:00.000Z"],
    ["11 * * * *", "2026-12-01T04:11:00.000Z"],
    ["*/20 * * * *", "2026-12-01T04:20:00.000Z"],
    ["5/15 * * * *", "2026-12-01T04:05:00.000Z"],
    ["0 9 * * mon-fri", "2026-12-01T09:00:00.000Z"],
    ["0 0 * * 7", "2026-12-06T00:00:00.000Z"],
    ["0 0 29 2 *", "2028-02-29T00:00:00.000Z"],
    // Either the day of the month or that of the week, as in cron.
    ["0 0 13 * fri", "2026-12-04T00:00:00.000Z"],
    ["0 0 31 4 mon", "2027-04-05T00:00:00.000Z"],
  ])("of %j is %s", (expression, time) => {
    expect(next(expression)).toBe(time);
  });

  it("is after the given time", () => {
    expect(next("0 3 * * *", "2026-12-01T03:00:00Z")).toBe("2026-12-02T03:00:00.000Z");
  });

  it.each(["America/New_York", "Europe/Berlin", "Asia/Kolkata"])(
    "is in UTC where the process is in %s, also when its clocks change",
    (zone) => {
      const before = process.env.TZ;
      process.env.TZ = zone;
      try {
        expect(next("30 2 * * *", "2026-03-08T02:00:00Z")).toBe("2026-03-08T02:30:00.000Z");
        expect(next("30 2 * * *", "2026-03-29T02:00:00Z")).toBe("2026-03-29T02:30:00.000Z");
        expect(next("30 1 * * *", "2026-10-25T01:30:00Z")).toBe("2026-10-26T01:30:00.000Z");
      } finally {
        if (before === undefined) delete process.env.TZ;
        else process.env.TZ = before;
      }
    },
  );

  it("is none where it never comes", () => {
    for (const never of ["0 0 30 2 *", "0 0 31 4,6,9,11 *"]) expect(next(never)).toBeUndefined();
  });

  it.each([
    "@daily",
    "0 0 3 * * *",
    "2030-01-01T00:00:00",
    "61 * * * *",
    "*/0 * * * *",
    "H * * * *",
  ])("is refused for %j", (expression) => {
    expect(() => next(expression)).toThrow();
  });
});
