import { describe, expect, it } from "vitest";
import { counter, createMetrics, gauge, histogram } from "./metrics.ts";

const sent = counter("things_sent_total", "Things that were sent", ["kind"]);

describe("metrics", () => {
  it("are told in the text format of Prometheus", async () => {
    const metrics = createMetrics();
    metrics.counter(sent, { kind: "a" }).add();
    metrics.counter(sent, { kind: "a" }).add(2);
    metrics.gauge(gauge("depth", "How deep\nit is \\ was")).set(-1.5);
    const took = metrics.histogram(histogram("took_seconds", "How long", [], [0.1, 1]));
    for (const value of [0.05, 0.1, 0.5, 7]) took.observe(value);
    metrics.read(gauge("open", "What is open", ["of"]), () => [
      [2, { of: "this" }],
      [Number.POSITIVE_INFINITY, { of: "that" }],
    ]);
    expect(await metrics.text()).toBe(`# HELP things_sent_total Things that were sent
# TYPE things_sent_total counter
things_sent_total{kind="a"} 3
# HELP depth How deep\\nit is \\\\ was
# TYPE depth gauge
depth -1.5
# HELP took_seconds How long
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 2
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 7.65
took_seconds_count 4
# HELP open What is open
# TYPE open gauge
open{of="this"} 2
open{of="that"} +Inf
`);
  });

  it("can't be forged by what a label says (attack 110)", async () => {
    const metrics = createMetrics();
    const hostile = 'x"} 1\nfake_total{a="\\\r\u2028\ud800';
    metrics.counter(sent, { kind: hostile }).add();
    const lines = (await metrics.text()).trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/^things_sent_total\{kind="(?:[^"\\\n]|\\["\\n])*"\} 1$/u);
  });

  it("have a bounded number of label sets; the rest is counted together", async () => {
    const metrics = createMetrics();
    for (let i = 0; i < 5_000; i++) metrics.counter(sent, { kind: `${i}` }).add();
    const lines = (await metrics.text()).split("\n").filter((line) => !line.startsWith("#"));
    expect(lines.length).toBeLessThan(2_010);
    expect(lines).toContain('things_sent_total{kind="other"} 3000');
  });

  it("never shrink a counter", async () => {
    const metrics = createMetrics();
    const part = metrics.counter(sent, { kind: "a" });
    for (const by of [2, -1, Number.NaN]) part.add(by);
    expect(await metrics.text()).toContain('{kind="a"} 2\n');
  });

  it("leave out what can't be read, and tell the rest", async () => {
    const metrics = createMetrics();
    metrics.read(gauge("broken", "It fails"), () => Promise.reject(new Error("away")));
    metrics.read(gauge("worse", "It throws"), () => {
      throw new Error("away");
    });
    metrics.counter(sent, { kind: "a" }).add();
    expect(await metrics.text()).toContain('{kind="a"} 1\n');
  });

  it("are described once each, and have names that Prometheus takes", () => {
    const metrics = createMetrics();
    metrics.counter(sent, { kind: "a" });
    expect(() =>
      metrics.counter(counter("things_sent_total", "", ["size"]), { size: "1" }),
    ).toThrow("described twice");
    expect(() => gauge("not-a-name", "")).toThrow("no name");
    expect(() => histogram("took", "", ["le"])).toThrow("no name");
  });

  it("are an app's own", async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.counter(sent, { kind: "a" }).add();
    expect(await other.text()).toBe("");
  });
});
