import { describe, expect, test } from "vitest";
import { until } from "./until.ts";

describe("a wait", () => {
  test("returns what is found", async () => {
    let looks = 0;
    const found = await until("three looks", () => {
      looks += 1;
      return looks === 3 && "found";
    });
    expect([found, looks]).toEqual(["found", 3]);
  });

  test.each([
    ["is never so", () => false],
    ["is looked for without end", () => new Promise<boolean>(() => {})],
  ])("for what %s fails in time, and names what it waited for", async (_, look) => {
    const waiting = until("the outbox is empty", look, 50);
    await expect(waiting).rejects.toThrow("Not within 0.05 s: the outbox is empty");
    await expect(until(() => "1 row left", look, 50)).rejects.toThrow("1 row left");
  });

  test("fails at once when a look throws, and shows the caller in its stack when it times out", async () => {
    const broken = () => Promise.reject(new Error("the child has ended"));
    await expect(until("it answers", broken)).rejects.toThrow("the child has ended");
    const late = await until("never", () => false, 20).catch((error: Error) => error);
    expect((late as Error).stack).toContain("until.test.ts");
  });
});
