import { expect, test } from "vitest";
import { until } from "../testing/until.ts";
import { ok } from "./check.ts";
import { examineBy } from "./doctor.ts";

test("one run at a time, whoever asks; the last diagnosis is there meanwhile", async () => {
  let runs = 0;
  let finish = Promise.withResolvers<void>();
  const examine = examineBy(async () => {
    runs += 1;
    await finish.promise;
    return [ok("isolation", `run ${runs}`)];
  });
  const both = Promise.all([examine({ again: true }), examine({ again: true })]);
  await until("a run", () => runs === 1);
  finish.resolve();
  for (const { last, isRunning } of await both) {
    expect(last?.checks).toEqual([ok("isolation", "run 1")]);
    expect(isRunning).toBe(false);
  }
  // One that is as new as this is not made again.
  await examine({ again: true });
  expect(runs).toBe(1);
  finish = Promise.withResolvers();
});
