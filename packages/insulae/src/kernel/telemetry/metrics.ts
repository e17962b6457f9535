/**
 * Figures about this process, as Prometheus reads them. One registry an app; nothing is global.
 *
 * A metric is described once (`counter`, `gauge`, `histogram`); that makes nothing. The registry gives
 * the part of it that stands for one set of labels, and whoever counts often keeps that part: then
 * counting is an addition (10 ns; prom-client's bound counter takes 400, since it hashes its labels
 * each time, and a request would need four). What something else knows anyway is read when the
 * metrics are asked for (`read`).
 *
 * A metric has a bounded number of label sets. What comes beyond is counted under `other`, so that no
 * value that somebody chooses can make it grow.
 */
import { beginning } from "../lib/text.ts";

export interface Metric<Kind extends MetricKind, Label extends string = never> {
  readonly kind: Kind;
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  /** The upper bounds of a histogram's buckets, ascending. */
  readonly buckets: readonly number[];
}

type MetricKind = "counter" | "gauge" | "histogram";

export type LabelValues<Label extends string> = Readonly<Record<Label, string>>;

/**
 * Describes a metric that only grows.
 *
 * @param name with its unit, ending in `_total`: `invoices_sent_total`.
 * @example
 * const invoicesSent = counter("invoices_sent_total", "Invoices that were sent", ["format"]);
 * // in a handler:
 * metrics.counter(invoicesSent, { format: "pdf" }).add();
 */
export const counter = <const Label extends string = never>(
  name: `${string}_total`,
  help: string,
  labels: readonly Label[] = [],
): Metric<"counter", Label> => describe("counter", name, help, labels);

/** Describes a metric that goes up and down. */
export const gauge = <const Label extends string = never>(
  name: string,
  help: string,
  labels: readonly Label[] = [],
): Metric<"gauge", Label> => describe("gauge", name, help, labels);

/** Of durations in seconds. */
export const usualBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** Describes a metric of how often a value was how large. */
export const histogram = <const Label extends string = never>(
  name: string,
  help: string,
  labels: readonly Label[] = [],
  buckets: readonly number[] = usualBuckets,
): Metric<"histogram", Label> => describe("histogram", name, help, labels, buckets);

function describe<Kind extends MetricKind, Label extends string>(
  kind: Kind,
  name: string,
  help: string,
  labels: readonly Label[],
  buckets: readonly number[] = [],
): Metric<Kind, Label> {
  for (const each of [name, ...labels]) {
    if (!/^[a-z_][a-z0-9_]*$/.test(each) || each === "le") {
      throw new Error(`metric ${name}: ${JSON.stringify(each)} is no name: use [a-z0-9_]`);
    }
  }
  return Object.freeze({ kind, name, help, labels, buckets });
}

export interface Counter {
  /** @param by default 1; never negative. */
  readonly add: (by?: number) => void;
}

export interface Gauge {
  readonly set: (value: number) => void;
}

export interface Histogram {
  readonly observe: (value: number) => void;
}

/** None where the metric has no labels. */
type Labels<Label extends string> = [Label] extends [never] ? [] : [labels: LabelValues<Label>];

/** What handlers count with. */
export interface Metrics {
  readonly counter: <Label extends string>(
    metric: Metric<"counter", Label>,
    ...labels: Labels<Label>
  ) => Counter;
  readonly gauge: <Label extends string>(
    metric: Metric<"gauge", Label>,
    ...labels: Labels<Label>
  ) => Gauge;
  readonly histogram: <Label extends string>(
    metric: Metric<"histogram", Label>,
    ...labels: Labels<Label>
  ) => Histogram;
}

/** A value, and the labels that it stands under, if the metric has any. */
export type Reading<Label extends string> = readonly [value: number, ...labels: Labels<Label>];

export interface MetricsRegistry extends Metrics {
  /** Has the metric read whenever somebody asks for the metrics; left out where that fails. */
  readonly read: <Label extends string>(
    metric: Metric<"counter" | "gauge", Label>,
    read: () => Iterable<Reading<Label>> | Promise<Iterable<Reading<Label>>>,
  ) => void;
  /** All of it, in the text format of Prometheus. */
  readonly text: () => Promise<string>;
}

/** The type of what `text` gives. */
export const metricsType = "text/plain; version=0.0.4; charset=utf-8";

const maxLabelSets = 2_000;
const maxLabelLength = 200;

type AnyMetric = Metric<MetricKind, string>;

/** The lines of one set of labels. */
type Part = { readonly lines: () => string };

interface Family {
  readonly metric: AnyMetric;
  readonly parts: Map<string, Part>;
  read?: () => Promise<string>;
}

export function createMetrics(): MetricsRegistry {
  const families = new Map<string, Family>();

  const familyOf = (metric: AnyMetric): Family => {
    const known = families.get(metric.name);
    if (known) {
      if (known.metric.kind === metric.kind && `${known.metric.labels}` === `${metric.labels}`) {
        return known;
      }
      throw new Error(`metric ${metric.name} is described twice, and differently`);
    }
    const family = { metric, parts: new Map() };
    families.set(metric.name, family);
    return family;
  };

  const partOf = <P extends Part>(
    metric: AnyMetric,
    given: LabelValues<string> | undefined,
    make: (labels: string) => P,
  ): P => {
    const { parts } = familyOf(metric);
    const wanted = labelText(metric, given);
    const labels =
      parts.has(wanted) || parts.size < maxLabelSets ? wanted : labelText(metric, "other");
    // Parts of one metric are all made by the function of its kind.
    const known = parts.get(labels) as P | undefined;
    const part = known ?? make(labels);
    if (!known) parts.set(labels, part);
    return part;
  };

  return {
    counter: (metric, ...[labels]) =>
      partOf(metric, labels, (text) => createCounter(metric.name, text)),
    gauge: (metric, ...[labels]) =>
      partOf(metric, labels, (text) => createGauge(metric.name, text)),
    histogram: (metric, ...[labels]) =>
      partOf(metric, labels, (text) => createHistogram(metric, text)),
    read(metric, read) {
      familyOf(metric).read = async () => {
        const lines: string[] = [];
        for (const [value, labels] of await read()) {
          if (lines.length === maxLabelSets) break;
          lines.push(line(metric.name, labelText(metric, labels), value));
        }
        return lines.join("");
      };
    },
    async text() {
      const texts = await Promise.all([...families.values()].map(familyText));
      return texts.join("");
    },
  };
}

async function familyText({ metric, parts, read }: Family): Promise<string> {
  const { name, help, kind } = metric;
  const lines = await read?.().catch(() => "");
  const body = [...parts.values()].map((part) => part.lines()).join("") + (lines ?? "");
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${kind}\n${body}`;
}

function createCounter(name: string, labels: string): Counter & Part {
  let value = 0;
  return {
    add(by = 1) {
      if (by > 0) value += by;
    },
    lines: () => line(name, labels, value),
  };
}

function createGauge(name: string, labels: string): Gauge & Part {
  let value = 0;
  return {
    set(to) {
      value = to;
    },
    lines: () => line(name, labels, value),
  };
}

function createHistogram({ name, buckets }: AnyMetric, labels: string): Histogram & Part {
  const counts = new Array<number>(buckets.length + 1).fill(0);
  let sum = 0;
  return {
    observe(value) {
      let at = 0;
      while (at < buckets.length && value > (buckets[at] ?? 0)) at += 1;
      counts[at] = (counts[at] ?? 0) + 1;
      sum += value;
    },
    lines() {
      const comma = labels === "" ? "" : ",";
      let total = 0;
      const lines = counts.map((count, at) => {
        total += count;
        return line(`${name}_bucket`, `${labels}${comma}le="${buckets[at] ?? "+Inf"}"`, total);
      });
      return (
        lines.join("") + line(`${name}_sum`, labels, sum) + line(`${name}_count`, labels, total)
      );
    },
  };
}

const line = (name: string, labels: string, value: number): string =>
  `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(value)}\n`;

const numberText = (value: number): string =>
  Number.isFinite(value) || Number.isNaN(value) ? `${value}` : value > 0 ? "+Inf" : "-Inf";

/** @param values what each label is, or what they all are. */
const labelText = (
  { labels }: AnyMetric,
  values: LabelValues<string> | "other" | undefined,
): string =>
  labels
    .map((label) => {
      const value = typeof values === "string" ? values : (values?.[label] ?? "");
      return `${label}="${escaped(beginning(value, maxLabelLength)).replaceAll('"', '\\"')}"`;
    })
    .join(",");

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
