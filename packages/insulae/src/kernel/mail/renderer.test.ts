import { afterEach, describe, expect, it } from "vitest";
import type { Tenant } from "../model/tenant.ts";
import { createRenderer, type Renderer } from "./renderer.ts";

let renderer: Renderer | undefined;
afterEach(async () => {
  await renderer?.close();
  renderer = undefined;
});
const rendererWith = (deadlineMs?: number) => {
  renderer = createRenderer(deadlineMs === undefined ? {} : { deadlineMs });
  return renderer;
};
const [acme, globex, initech] = ["acme", "globex", "initech"].map((id) => ({ id }) as Tenant);

/** Looking for the variables of so many arguments takes the library seconds, in one step. */
const expensive = `{{ a | append: ${"a, ".repeat(16_000)}a }}`;

describe("templates", () => {
  it("are rendered, several at once, and their variables are named", async () => {
    const texts = rendererWith().of(acme);
    const [subject, html] = await texts.render(
      [{ source: "Dear {{ name }}" }, { source: "<b>{{ name }}</b>", html: true }],
      { name: "A & B" },
    );
    expect([subject, html]).toEqual(["Dear A & B", "<b>A &amp; B</b>"]);
    expect(await texts.variablesOf(["{{ a }}", "{{ b }}{{ a }}"])).toEqual([["a"], ["b", "a"]]);
  });

  it("are refused as invalid, with the reason", async () => {
    await expect(
      rendererWith()
        .of(acme)
        .render([{ source: "{{ v" }], {}),
    ).rejects.toMatchObject({
      code: "invalid_template",
      status: 400,
      detail: expect.stringContaining("not closed"),
    });
  });

  it("see nothing of the server", async () => {
    const texts = rendererWith().of(acme);
    for (const name of ["process", "env", "global", "require", "v.constructor"]) {
      await expect(texts.render([{ source: `{{ ${name} }}` }], { v: "" })).rejects.toMatchObject({
        code: "invalid_template",
      });
    }
  });
});

describe("a template that takes too long", () => {
  it("is stopped, and the next one is rendered by a new thread", async () => {
    const texts = rendererWith().of(acme);
    const threadEnds = new Promise((ends) => {
      process.once("worker", (thread) => thread.once("exit", ends));
    });
    await expect(texts.variablesOf([expensive])).rejects.toMatchObject({
      code: "template_too_expensive",
      status: 400,
      detail: "Rendering was stopped: the limits are 1000 ms and 64 MB.",
    });
    await threadEnds;
    expect(await texts.render([{ source: "{{ x }}" }], { x: "here" })).toEqual(["here"]);
  });

  it("or too much memory is stopped as well", async () => {
    const texts = rendererWith(60_000).of(acme);
    const list = Array.from({ length: 2_000_000 }, (_, i) => `item ${i}`);
    await expect(texts.render([{ source: "{{ list }}" }], { list })).rejects.toMatchObject({
      code: "template_too_expensive",
    });
    expect(await texts.render([{ source: "{{ x }}" }], { x: "here" })).toEqual(["here"]);
  });

  it("does not hold up the event loop", async () => {
    const texts = rendererWith().of(acme);
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 10);
    await Promise.allSettled([texts.variablesOf([expensive])]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it("leaves other tenants, and the platform's own templates, their turns", async () => {
    const all = rendererWith();
    const done: string[] = [];
    const note = (work: Promise<unknown>) =>
      work.then(
        () => done.push("rendered"),
        (error) => done.push(error.code),
      );
    const flood = Array.from({ length: 4 }, () => note(all.of(acme).variablesOf([expensive])));
    const others = [globex, initech, undefined].map((owner) =>
      note(all.of(owner).render([{ source: "{{ x }}" }], { x: "x" })),
    );
    await Promise.all(others);
    expect(done.filter((each) => each === "rendered")).toHaveLength(3);
    expect(done.length).toBeLessThan(6);
    await Promise.all(flood);
    expect(done.filter((each) => each === "template_too_expensive")).toHaveLength(4);
  });

  it("and waits in a bounded line, beyond which the limit is named", async () => {
    const texts = rendererWith().of(acme);
    const results = await Promise.allSettled(
      Array.from({ length: 130 }, () => texts.render([{ source: "{{ x }}" }], { x: "x" })),
    );
    const refused = results.flatMap((result) =>
      result.status === "rejected" && result.reason.code === "too_many_at_once"
        ? [result.reason.detail]
        : [],
    );
    expect(refused).toHaveLength(29);
    expect(refused[0]).toBe(
      "The limit on templates is 1 at a time, and 100 waiting, for a tenant.",
    );
  });
});

it("a renderer that is closed ends what it is rendering, and keeps nothing running", async () => {
  const { of, close } = rendererWith(60_000);
  const texts = of(acme);
  await texts.render([{ source: "warm" }], {});
  const rendering = texts.variablesOf([expensive]);
  const outcome = expect(rendering).rejects.toThrow();
  await close();
  await outcome;
  await expect(texts.render([{ source: "x" }], {})).rejects.toThrow("closed");
});
