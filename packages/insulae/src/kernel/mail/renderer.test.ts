import { afterEach, describe, expect, it } from "vitest";
import type { TenantId } from "../tenancy/tenant.ts";
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
const [acme, globex, initech] = ["acme", "globex", "initech"] as TenantId[];

/** What the library's limits don't stop: one long step, in a thread with little memory. */
const values = { v: Array.from({ length: 2_000 }, () => "x".repeat(40)), x: "x" };
const expensive = `{% for a in v %}{{ a ${"| replace: 'x', 'xy' | replace: 'y', '' ".repeat(60)} }}{% endfor %}`;

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
    const texts = rendererWith(20).of(acme);
    await expect(texts.render([{ source: expensive }], values)).rejects.toMatchObject({
      code: "template_too_expensive",
      status: 400,
      detail: expect.stringContaining("20 ms"),
    });
    expect(await texts.render([{ source: "{{ x }}" }], { x: "here" })).toEqual(["here"]);
  });

  it("does not hold up the event loop", async () => {
    const texts = rendererWith(100).of(acme);
    await texts.render([{ source: "warm" }], {});
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 5);
    await Promise.allSettled([texts.render([{ source: expensive }], values)]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });

  it("leaves other tenants, and the platform's own templates, their turns", async () => {
    const all = rendererWith(100);
    const done: string[] = [];
    const render = (name: string, owner: TenantId | undefined, source = expensive) =>
      all
        .of(owner)
        .render([{ source }], values)
        .then(
          () => done.push(`${name} rendered`),
          (error) => done.push(`${name} ${error.code}`),
        );
    const flood = Array.from({ length: 6 }, () => render("acme", acme));
    const others = [
      render("globex", globex, "{{ x }}"),
      render("initech", initech, "{{ x }}"),
      render("platform", undefined, "{{ x }}"),
    ];
    await Promise.all(others);
    const before = done.filter((each) => each.startsWith("acme")).length;
    expect(before).toBeLessThan(4);
    expect(done.filter((each) => each.endsWith("rendered"))).toHaveLength(3);
    await Promise.all(flood);
    expect(done.filter((each) => each === "acme template_too_expensive")).toHaveLength(6);
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
  const rendering = texts.render([{ source: expensive }], values);
  const outcome = expect(rendering).rejects.toThrow();
  await close();
  await outcome;
  await expect(texts.render([{ source: "x" }], {})).rejects.toThrow("closed");
});
