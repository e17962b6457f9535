import { expect, test } from "vitest";
import { createProgress } from "./progress.ts";

const record = (isTTY: boolean) => {
  const written: string[] = [];
  return { written, stream: { isTTY, write: (text: string) => written.push(text) > 0 } };
};

test("in a log, a thousand placements take about ten lines", () => {
  const { written, stream } = record(false);
  const progress = createProgress("Placements", stream as never);
  for (let done = 1; done <= 1000; done += 1) progress.update(done, 1000);
  progress.end();
  expect(written.filter((text) => text !== "").length).toBeLessThanOrEqual(11);
  expect(written.at(-2)).toBe("Placements: 1000 of 1000\n");
});

test("on a terminal there is one line, which is removed at the end", () => {
  const { written, stream } = record(true);
  const progress = createProgress("Placements", stream as never);
  progress.update(1, 2);
  progress.line("one failed");
  progress.end();
  expect(written.join("")).not.toContain("1/2\n");
  expect(written.join("")).toContain("one failed\n");
  expect(written.at(-1)).toBe("\r\x1b[2K");
});
