/**
 * Renders Liquid texts, which tenants may write. They can only insert values: conditions, loops
 * over lists, and filters for text, numbers and dates. There are no files, includes, assignments or
 * captures, so a text can't amplify itself. Input and output sizes are limited here. `renderer.ts`
 * limits the time and memory in between, because the library checks its own limits only between
 * steps, and a step can be long. Values are never interpreted: Liquid syntax in a value is plain
 * text.
 */
import { Liquid } from "liquidjs";
import { beginning } from "../lib/text.ts";
import { invalidTemplate, type Values } from "./renderer.ts";

export interface TextEngine {
  /** @throws invalidTemplate if the source is not a valid text with values */
  render(source: string, values: Values): string;
  /** The same for HTML; values are escaped. */
  renderHtml(source: string, values: Values): string;
  /** The names of the variables used. @throws invalidTemplate */
  variables(source: string): readonly string[];
}

const tags = ["if", "unless", "case", "for", "break", "continue", "comment", "raw", "#"];
const filters = [
  ...["append", "prepend", "capitalize", "upcase", "downcase", "strip", "truncate"],
  ...["truncatewords", "replace", "remove", "default", "escape", "url_encode", "date"],
  ...["size", "first", "last", "join", "plus", "minus", "times", "divided_by", "round"],
];

export const maxSource = 50_000;
export const maxTags = 1_000;
const maxOutput = 262_144;
/** The library creates a formatter for each name of a day or month. */
const maxDateFormat = 100;
const bounds = { parseLimit: maxSource, renderLimit: 200, memoryLimit: 1_000_000 };

/** Use it only in a thread that can be terminated. */
export function createTextEngine(): TextEngine {
  const options = {
    ...bounds,
    strictFilters: true,
    strictVariables: true,
    lenientIf: true,
    ownPropertyOnly: true,
    // No file lookups.
    templates: {},
    timezoneOffset: 0,
    locale: "en",
  };
  const plain = only(new Liquid(options));
  const html = only(new Liquid({ ...options, outputEscape: "escape" }));
  // Marked raw, because its result is escaped already.
  html.registerFilter("escape", { raw: true, handler: html.filters.escape as typeof String });

  const render = (engine: Liquid, source: string, values: Values) => {
    refuseTags(source);
    const text = orInvalid<unknown>(() => engine.parseAndRenderSync(source, { ...values }));
    if (typeof text === "string" && text.length <= maxOutput) return text;
    throw invalidTemplate({
      detail: `The rendered text has more than ${maxOutput} characters. Shorten it.`,
    });
  };
  return {
    render: (source, values) => render(plain, source, values),
    renderHtml: (source, values) => render(html, source, values),
    variables(source) {
      refuseTags(source);
      return orInvalid(() => plain.globalVariablesSync(plain.parse(source)));
    },
  };
}

/** Finding variables takes time quadratic in the number of tags. */
function refuseTags(source: string): void {
  const tags = source.match(/\{[{%]/g)?.length ?? 0;
  if (tags > maxTags) {
    throw invalidTemplate({
      detail: `The template has ${tags} tags; at most ${maxTags} are allowed.`,
    });
  }
}

function only(engine: Liquid): Liquid {
  for (const name of Object.keys(engine.tags)) if (!tags.includes(name)) delete engine.tags[name];
  for (const name of Object.keys(engine.filters)) {
    if (!filters.includes(name)) engine.unregisterFilter(name);
  }
  // The library's own filter; it exports no type for it.
  const date = engine.filters.date as (this: unknown, ...given: unknown[]) => unknown;
  engine.registerFilter("date", function (value, format, ...others) {
    if (String(format).length > maxDateFormat) {
      throw new Error(`a date format may have at most ${maxDateFormat} characters`);
    }
    return date.call(this, inUtc(value), format, ...others);
  });
  for (const name of ["plus", "minus", "times", "divided_by"]) {
    const calculate = engine.filters[name] as typeof date; // as above
    engine.registerFilter(name, function (...given) {
      return asDecimal(calculate.apply(this, given));
    });
  }
  return engine;
}

const offset =
  // Bounded: `inUtc` takes at most 100 characters.
  /:\d\d.*(?:z|utc?|gmt|[ecmp][sd]t|(?<!-\d\d)[+-]\d\d(?::?\d\d)?)(?:\s*\([^)]*\))?\s*$/i;

/** JavaScript would interpret a time without an offset in the host's time zone. */
function inUtc(value: unknown): unknown {
  if (typeof value !== "string" || value.length > 100) return value;
  if (/^\d+$/.test(value) || offset.test(value)) return value;
  const time = value.trim();
  return [`${time}Z`, `${time} UTC`].find((text) => !Number.isNaN(Date.parse(text))) ?? value;
}

/** 3 × 19.9 is 59.699999999999996 in binary; a double is exact to 15 digits. */
const asDecimal = (result: unknown): unknown =>
  typeof result === "number" && !Number.isInteger(result) ? Number(result.toPrecision(15)) : result;

function orInvalid<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    // The first line has the problem and its place; the others show the source.
    const [detail = ""] = (cause instanceof Error ? cause.message : "").split("\n");
    throw invalidTemplate({ detail: beginning(detail, 300), cause });
  }
}
