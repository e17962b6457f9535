import { expect, test } from "vitest";
import { createChannel, lineOf } from "./log-channel.ts";

/** The texts of whole frames, none of them longer than 125 bytes. */
function textsOf(frames: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < frames.length; ) {
    const next = at + 2 + (frames[at + 1] ?? 0);
    texts.push(frames.subarray(at + 2, next).toString());
    at = next;
  }
  return texts;
}

test.each([1, 7, 256, 257, 1_000])(
  "each viewer gets each line once, or is told how many not: %i lines kept",
  (capacity) => {
    const channel = createChannel({ tenantId: undefined, format: "text", least: 0 }, capacity);
    const viewers = [1, 3, 20, 400].map((step) => ({
      step,
      next: 0,
      dropped: 0,
      got: [] as number[],
    }));
    let pushed = 0;
    for (let turn = 1; turn <= 3_000; turn += 1) {
      for (let i = (turn * 7) % 5; i > 0; i -= 1) {
        channel.push(lineOf(JSON.stringify({ level: 30, msg: `${pushed}` })));
        pushed += 1;
      }
      for (const viewer of viewers) {
        if (turn % viewer.step !== 0 || viewer.next === channel.end) continue;
        const { bytes, next, dropped } = channel.take(viewer.next, (turn * 131) % 20_000);
        const texts = textsOf(bytes);
        if (dropped > 0) {
          // As few as have to be.
          expect(next).toBe(channel.end - capacity);
          expect(texts).toEqual([expect.stringContaining(`] ${dropped} line`)]);
        } else {
          expect(texts).toHaveLength(next - viewer.next);
          for (const text of texts) viewer.got.push(Number(text.split(" ").at(-1)));
          expect(viewer.got.at(-1)).toBe(next - 1);
        }
        viewer.next = next;
        viewer.dropped += dropped;
      }
    }
    expect(pushed).toBe(channel.end);
    for (const { next, dropped, got } of viewers) {
      expect(got.length + dropped).toBe(next);
      expect(got).toEqual(got.toSorted((a, b) => a - b));
      expect(new Set(got).size).toBe(got.length);
    }
    expect(viewers[0]?.got.length).toBeGreaterThan(500);
  },
);

test("what viewers are sent is made once, and takes no more of it than was asked for", () => {
  const channel = createChannel({ tenantId: undefined, format: "json", least: 0 }, 1_000);
  for (let i = 0; i < 600; i += 1) channel.push(lineOf(JSON.stringify({ level: 30, msg: "x" })));
  const one = channel.take(3, 5_000);
  const another = channel.take(3, 5_000);
  expect(another.bytes.buffer).toBe(one.bytes.buffer);
  expect(another.bytes.byteOffset).toBe(one.bytes.byteOffset);
  const { length } = channel.take(0, 1).bytes;
  expect(one.bytes).toHaveLength(Math.ceil(5_000 / length) * length);
});
