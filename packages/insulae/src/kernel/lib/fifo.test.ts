import { getHeapSpaceStatistics } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Fifo } from "./fifo.ts";

type Step =
  | { readonly do: "push" | "unshift"; readonly item: number }
  | { readonly do: "shift" }
  | { readonly do: "delete"; readonly at: number };

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ do: fc.constantFrom("push", "unshift"), item: fc.nat() }),
    fc.record({ do: fc.constant("shift") }),
    fc.record({ do: fc.constant("delete"), at: fc.nat(20) }),
  ),
  { maxLength: 2_000, size: "max" },
);

test("it holds what an array would", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const fifo = new Fifo<{ item: number }>();
      const model: { item: number }[] = [];
      for (const step of all) {
        if (step.do === "shift") expect(fifo.shift()).toBe(model.shift());
        else if (step.do === "delete") {
          const [item = { item: -1 }] = model.splice(step.at, 1);
          fifo.delete(item);
          expect(fifo.has(item)).toBe(false);
        } else {
          const item = { item: step.item };
          fifo[step.do](item);
          model[step.do](item);
        }
        expect([fifo.size, fifo.first]).toEqual([model.length, model[0]]);
      }
      expect(fifo.toArray()).toEqual(model);
    }),
    { numRuns: 50 },
  );
});

test.each([8, 60, 600])(
  "what has left does not reach the old generation, however long it is in use with %i in it",
  (most) => {
    const old = () =>
      getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")
        ?.space_used_size ?? Number.NaN;
    const fifo = new Fifo<number[]>();
    const churn = (items: number) => {
      for (let i = 0; i < items; i += 1) {
        fifo.push(new Array<number>(1_000).fill(i));
        if (fifo.size > most) fifo.shift();
      }
    };
    churn(most);
    // What is in it now gets there.
    for (let i = 0; i < 20_000; i += 1) new Array<number>(1_000).fill(i);
    const before = old();
    churn(30_000); // 240 MB
    expect(old() - before).toBeLessThan(1_000_000);
  },
);
