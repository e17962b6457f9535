import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Creates pairs that live for a while. */
const crowd = `
  let kept = [];
  for (let i = 0; i < 2_000_000; i += 1) {
    kept.push([i, [i]]);
    if (kept.length > 300_000) kept = [];
  }`;

/**
 * @returns how often V8 decided to allocate the objects of one place in the old generation. With a
 * single thread and a young generation that is large from the start, its decisions are
 * deterministic
 */
async function decisions(before: string): Promise<number> {
  const script = `${before}\n${crowd}`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "--predictable",
      "--min-semi-space-size=16",
      "--trace-pretenuring-statistics",
      "--input-type=module",
      "--eval",
      script,
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout.match(/=> tenure$/gm)?.length ?? 0;
}

test("surviving objects are still allocated in the young generation", async () => {
  const heap = new URL("heap.ts", import.meta.url).href;
  expect(await decisions(`(await import("${heap}")).allocateYoung();`)).toBe(0);
  // V8 by default.
  expect(await decisions("")).toBeGreaterThan(0);
});

test("memory used during the start is released", async () => {
  const heap = new URL("heap.ts", import.meta.url).href;
  const script = `
    const { giveBackMemory } = await import("${heap}");
    let texts = Array.from({ length: 200_000 }, (_, i) => ({ i, text: "x" + i }));
    texts = undefined;
    const before = process.memoryUsage().heapTotal;
    giveBackMemory();
    console.log(process.memoryUsage().heapTotal / before);`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(Number(stdout)).toBeLessThan(0.7);
});
