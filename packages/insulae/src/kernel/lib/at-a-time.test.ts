import { describe, expect, it } from "vitest";
import { type AtATimeOptions, createAtATime, serverBusy, tooManyAtOnce } from "./at-a-time.ts";
import type { Holder } from "./fair-shares.ts";

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code: string }) => error.code,
  );

/** `a`: a tenant; `mallory/a`: one of an account's. */
const holder = (text: string): Holder => {
  const [group = "", name = group] = text.split("/");
  return { group, name };
};

function open(options: AtATimeOptions) {
  const { enter, run } = createAtATime(options);
  return {
    enter: (name: string, signal?: AbortSignal) => enter(holder(name), signal),
    run: <T>(name: string, task: () => Promise<T>) => run(holder(name), task),
  };
}

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
    const { run } = open({ what: "imports", process: 3, tenant: 2 });
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
    const { run } = open({ what: "imports", process: 2, tenant: 1, waiting: 9 });
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
    const { run } = open({ what: "hashes", process: 1, waiting: 20, tenantWaiting: 10 });
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
    const { run } = open({
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
    // Nobody waits with more than one then: who is new is refused.
    const lost = expect(all[2]).rejects.toMatchObject({ code: "busy" });
    all[2] = run("c", task("c0"));
    await lost;
    await expect(run("d", task("d0"))).rejects.toMatchObject({
      status: 503,
      code: "busy",
      detail: "The limit on hashes is 1 at a time, and 3 waiting, for this process.",
    });
    await turn();
    for (let i = 0; i < 4; i += 1) await endOne();
    await Promise.all(all);
    expect(await code(run("c", async () => undefined))).toBe("done");
  });

  it("has room to wait for a newcomer: whoever waits with most loses their last", async () => {
    const { begun, task, endOne } = tasks();
    const { run } = open({ what: "hashes", process: 1, waiting: 8 });
    const flood = Array.from({ length: 9 }, (_, i) => code(run("a", task(`a${i}`))));
    const others = ["b", "c", "d"].map((name) => code(run(name, task(name))));
    await turn();
    for (let i = 0; i < 9; i += 1) await endOne();
    expect(await Promise.all(others)).toEqual(["done", "done", "done"]);
    expect(begun.slice(0, 5)).toEqual(["a0", "a1", "b", "c", "d"]);
    expect(await Promise.all(flood)).toEqual([...Array(6).fill("done"), ...Array(3).fill("busy")]);
  });

  it("counts an account's tenants together against others, and apart among themselves", async () => {
    const { begun, task, endOne } = tasks();
    const { run } = open({ what: "hashes", process: 1, waiting: 8, tenantWaiting: 4 });
    const names = ["m/1", "m/1", "m/1", "m/2", "m/2", "m/3", "m/4", "m/5", "m/5"];
    const flood = names.map((name) => code(run(name, task(name))));
    const other = [code(run("b", task("b"))), code(run("b", task("b")))];
    await turn();
    for (let i = 0; i < 9; i += 1) await endOne();
    expect(await Promise.all(other)).toEqual(["done", "done"]);
    // One of its tenants after the other, and another account's in between.
    expect(begun.slice(0, 6)).toEqual(["m/1", "m/1", "b", "m/2", "b", "m/3"]);
    const ends = await Promise.all(flood);
    expect(ends.filter((end) => end === "busy")).toHaveLength(2);
    expect(names.filter((_, i) => ends[i] === "busy")).toEqual(["m/1", "m/2"]);
  });

  it("no longer waits when its signal says so, and leaves its room to others", async () => {
    const { begun, task, endOne } = tasks();
    const { enter, run } = open({ what: "imports", process: 1, waiting: 1 });
    const first = run("a", task("a"));
    const gone = new AbortController();
    const waiting = code(enter("b", gone.signal));
    expect(await code(run("c", task("c")))).toBe("busy");
    gone.abort();
    expect(await waiting).toBe("busy");
    expect(await code(enter("b", AbortSignal.abort()))).toBe("busy");
    const next = run("c", task("c"));
    await endOne();
    await endOne();
    await Promise.all([first, next]);
    expect(begun).toEqual(["a", "c"]);
  });

  it("gives a place back when it fails, and only once", async () => {
    const { enter, run } = open({ what: "hashes", process: 1 });
    expect(await code(run("a", () => Promise.reject(tooManyAtOnce())))).toBe("too_many_at_once");
    const leave = await enter("a");
    leave();
    leave();
    const again = await enter("a");
    expect(await code(enter("b"))).toBe("busy");
    again();
  });
});
