import { expect, test } from "vitest";
import { eachOf } from "./each-of.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

test("works on so many at a time, in their order, and on each once", async () => {
  let most = 0;
  let running = 0;
  const begun: number[] = [];
  const items = Array.from({ length: 50 }, (_, i) => i);
  await eachOf(items, 4, async (item) => {
    begun.push(item);
    most = Math.max(most, ++running);
    await tick();
    running -= 1;
  });
  expect([begun, most]).toEqual([items, 4]);
});

test("begins nothing after an error, waits for what is under way, and throws it", async () => {
  const ended: number[] = [];
  const working = eachOf([1, 2, 3, 4], 2, async (item) => {
    if (item === 1) throw new Error("it failed");
    await tick();
    ended.push(item);
  });
  await expect(working).rejects.toThrow("it failed");
  expect(ended).toEqual([2]);
});

test("begins nothing once it is to end", async () => {
  const end = new AbortController();
  const begun: number[] = [];
  await eachOf(
    [1, 2, 3],
    1,
    async (item) => {
      begun.push(item);
      end.abort();
    },
    end.signal,
  );
  expect(begun).toEqual([1]);
});
