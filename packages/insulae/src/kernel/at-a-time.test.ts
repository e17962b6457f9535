import { describe, expect, it } from "vitest";
import { createAtATime, serverBusy, tooManyAtOnce } from "./at-a-time.ts";

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code: string }) => error.code,
  );

const turn = () => new Promise(setImmediate);

/** A task that runs until it is told to end, and notes when it begins. */
function tasks() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const task = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((end) => ends.push(end));
  };
  const endOne = async () => {
    ends.shift()?.();
    await turn();
  };
  return { begun, task, endOne };
}

describe("expensive work", () => {
  it("has a bounded number at a time for a tenant and for the process", async () => {
    const { begun, task, endOne } = tasks();
    const { run } = createAtATime({ what: "imports", process: 3, tenant: 2 });
    const first = [run("a", task("a1")), run("a", task("a2"))];
    expect(await code(run("a", task("a3")))).toBe(tooManyAtOnce.code);
    const second = run("b", task("b1"));
    expect(await code(run("c", task("c1")))).toBe(serverBusy.code);
    expect(begun).toEqual(["a1", "a2", "b1"]);
    await endOne();
    const third = run("c", task("c2"));
    await turn();
    expect(begun).toContain("c2");
    for (let i = 0; i < 3; i += 1) await endOne();
    await Promise.all([...first, second, third]);
  });

  it("has no more at a time for a tenant that waits when another's is done", async () => {
    const { begun, task, endOne } = tasks();
    const { run } = createAtATime({ what: "imports", process: 2, tenant: 1, waiting: 9 });
    const all = ["a1", "b1", "a2", "a3"].map((name) => run(name.charAt(0), task(name)));
    await turn();
    await endOne();
    expect(begun).toEqual(["a1", "b1", "a2"]);
    await endOne();
    expect(begun).toEqual(["a1", "b1", "a2"]);
    await endOne();
    expect(begun).toEqual(["a1", "b1", "a2", "a3"]);
    await endOne();
    await Promise.all(all);
  });

  it("gives tenants their turns, whoever waits with how many", async () => {
    const { begun, task, endOne } = tasks();
    const { run } = createAtATime({ what: "hashes", process: 1, waiting: 20, tenantWaiting: 10 });
    const all = Array.from({ length: 9 }, (_, i) => run("a", task(`a${i}`)));
    all.push(run("b", task("b0")), run("b", task("b1")), run("c", task("c0")));
    await turn();
    for (let i = 0; i < 12; i += 1) await endOne();
    await Promise.all(all);
    expect(begun.slice(0, 6)).toEqual(["a0", "a1", "b0", "c0", "a2", "b1"]);
    expect(begun).toHaveLength(12);
  });

  it("waits in bounded lines, and a refusal names the limit and when to retry", async () => {
    const { task, endOne } = tasks();
    const { run } = createAtATime({
      ...{ what: "hashes", process: 1, tenant: 1, waiting: 3, tenantWaiting: 2, retryAfter: 7 },
    });
    const all = [run("a", task("a0")), run("a", task("a1")), run("a", task("a2"))];
    await expect(run("a", task("a3"))).rejects.toMatchObject({
      status: 429,
      code: "too_many_at_once",
      detail: "The limit on hashes is 1 at a time, and 2 waiting, for a tenant.",
      headers: { "retry-after": "7" },
    });
    all.push(run("b", task("b0")));
    await expect(run("c", task("c0"))).rejects.toMatchObject({
      status: 503,
      code: "busy",
      detail: "The limit on hashes is 1 at a time, and 3 waiting, for this process.",
    });
    await turn();
    for (let i = 0; i < 4; i += 1) await endOne();
    await Promise.all(all);
    expect(await code(run("c", async () => undefined))).toBe("done");
  });

  it("gives a place back when it fails, and only once", async () => {
    const { enter, run } = createAtATime({ what: "hashes", process: 1 });
    expect(await code(run("a", () => Promise.reject(tooManyAtOnce())))).toBe("too_many_at_once");
    const leave = await enter("a");
    leave();
    leave();
    const again = await enter("a");
    expect(await code(enter("b"))).toBe("busy");
    again();
  });
});
