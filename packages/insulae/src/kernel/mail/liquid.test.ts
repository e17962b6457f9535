import { describe, expect, it, vi } from "vitest";
import { createTextEngine, maxSource, maxTags } from "./liquid.ts";

const engine = createTextEngine();
const render = (source: string, values = {}) => engine.render(source, values);

describe("a text with variables", () => {
  it("puts values in their places, with conditions, lists and filters", () => {
    const source =
      "{{ name | upcase }}{% if vip %}!{% endif %}: {% for item in items %}{{ item }} {% endfor %}{{ at | date: '%Y' }}";
    const values = { name: "ada", vip: true, items: ["a", 1], at: "2026-01-02T00:00:00Z" };
    expect(render(source, values)).toBe("ADA!: a 1 2026");
    expect(engine.variables(source).toSorted()).toEqual(["at", "items", "name", "vip"]);
  });

  it("takes a value for text, whatever it looks like", () => {
    const value = "{{ secret }}{% include 'x' %}<b>";
    expect(render("{{ v }}", { v: value, secret: "s" })).toBe(value);
    expect(engine.renderHtml("<i>{{ v }}</i>", { v: value })).toBe(
      "<i>{{ secret }}{% include &#39;x&#39; %}&lt;b&gt;</i>",
    );
  });

  it("takes a time without an offset for UTC, wherever the server is", () => {
    vi.stubEnv("TZ", "America/New_York");
    expect(new Date(0).getTimezoneOffset()).not.toBe(0);
    for (const [time, shown] of [
      ["2026-06-30 21:00", "30 21:00"],
      ["2026-06-30T21:00:00", "30 21:00"],
      ["June 30, 2026 21:00", "30 21:00"],
      ["30 Jun 2026", "30 00:00"],
      ["2026-06-30", "30 00:00"],
      ["06/30/2026", "30 00:00"],
      ["2026-06-30 21:00+02:00", "30 19:00"],
      ["2026-06-30T21:00:00.5Z", "30 21:00"],
      ["Tue, 30 Jun 2026 21:00:00 GMT", "30 21:00"],
      ["Tue Jun 30 2026 21:00:00 GMT+0200 (Central European Summer Time)", "30 19:00"],
      ["1782853200", "30 21:00"],
      ["21:00 2026-06-30", "30 21:00"],
      ["soon", "soon"],
    ]) {
      expect(render("{{ at | date: '%d %H:%M' }}", { at: time }), time).toBe(shown);
    }
    vi.unstubAllEnvs();
  });

  it("calculates with decimals as people do", () => {
    expect(render("{{ 19.9 | times: 3 }} {{ 0.1 | plus: 0.2 }} {{ 0.3 | minus: 0.1 }}")).toBe(
      "59.7 0.3 0.2",
    );
    expect(render("{{ 10 | divided_by: 4 }} {{ 1 | divided_by: 3.0 }}")).toBe(
      "2.5 0.333333333333333",
    );
    expect(render("{{ 9007199254740990 | plus: 1 }}")).toBe("9007199254740991");
  });

  it("escapes a value once where the text escapes it, too", () => {
    const values = { n: "a < b & c" };
    expect(engine.renderHtml("{{ n | escape }}", values)).toBe("a &lt; b &amp; c");
    expect(engine.render("{{ n | escape }}", values)).toBe("a &lt; b &amp; c");
    expect(engine.renderHtml("{{ n | escape | append: '<' }}", values)).toContain("&lt;");
  });

  it("escapes every value in HTML, with no way around it", () => {
    expect(engine.renderHtml("{{ v | upcase }}", { v: "<b>" })).toBe("&lt;B&gt;");
    expect(() => engine.renderHtml("{{ v | raw }}", { v: "<b>" })).toThrow(/raw/);
  });
});

describe("a hostile text", () => {
  const refused = [
    "{{ unknown }}",
    "{{ v | unknown }}",
    "{{ v",
    "{% for i in %}",
    "{% include 'x' %}",
    "{% render '/etc/passwd' %}",
    "{% layout '../x' %}",
    "{% assign v = v | append: v %}",
    "{% capture v %}{{ v }}{{ v }}{% endcapture %}",
    "{% liquid echo v %}",
    "{{ v | base64_encode }}",
    "{{ v.constructor.constructor }}",
    "{{ v.__proto__.x }}",
    "{% for i in (1..1000000000) %}x{% endfor %}",
    "{{ 'now' | date: '%1000000000Y' }}",
    `${"{% for a in v %}".repeat(12)}x${"{% endfor %}".repeat(12)}`,
    `${"{% for a in (1..9999) %}".repeat(6)}{{ long }}${"{% endfor %}".repeat(6)}`,
    `{{ long ${"| replace: 'a', 'aaaaaaaaaa' ".repeat(30)} }}`,
    "x".repeat(maxSource + 1),
    "{{ long }}".repeat(4_000),
    "{{ v }}".repeat(maxTags + 1),
    `{{ "2026-01-01" | date: "${"%A".repeat(9_900)}" | truncate: 3 }}`,
    "{{ '2026-01-01' | date: long }}",
  ];
  it.each(refused)("%.60s is refused, at once", (source) => {
    const values = { v: Array.from({ length: 100 }, () => "v"), long: "a".repeat(10_000) };
    const before = process.cpuUsage();
    expect(() => render(source, values)).toThrow(
      expect.objectContaining({ code: "invalid_template", status: 400 }),
    );
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(1_500);
  });

  it("of more tags than are looked through for variables is refused", () => {
    expect(() => engine.variables("{{ v }}".repeat(maxTags + 1))).toThrow(/at most 1000/);
    expect(engine.variables("{{ v }}".repeat(maxTags))).toEqual(["v"]);
  });

  it("of brackets and quotes of all kinds ends", () => {
    for (const piece of ["{{", "{%", "{{ '", "{% if a == ", "{{ a[", "{{ a | b: ", "{%- -%}{{-"]) {
      const source = piece.repeat(Math.floor(maxSource / piece.length));
      const before = process.cpuUsage();
      try {
        render(source);
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid_template" });
      }
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1_000, piece).toBeLessThan(1_500);
    }
  });
});
