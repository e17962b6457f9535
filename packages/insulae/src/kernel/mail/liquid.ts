/**
 * Texts with variables (Liquid), which a tenant may have written: so they do nothing but put values
 * in their places. There are conditions and loops over lists, and filters for text, numbers and
 * dates; there are no files, includes, assignments or captures, so that a text can't grow on itself.
 * What is read, how long it takes, what it needs and what comes out have bounds. A value is a
 * value: what looks like Liquid in it is text.
 */
import type { Liquid } from "liquidjs";
import { defineError } from "../errors.ts";
import { beginning } from "../text.ts";

export const invalidTemplate = defineError(
  "invalid_template",
  400,
  "The template can't be used as it is",
);

export type Value = string | number | boolean | null | readonly (string | number | boolean)[];
export type Values = Readonly<Record<string, Value>>;

export interface TextEngine {
  /** @throws invalidTemplate for anything but a text with values in it. */
  render(source: string, values: Values): string;
  /** The same for HTML, in which values are text. */
  renderHtml(source: string, values: Values): string;
  /** The names of the variables in it. @throws invalidTemplate */
  variables(source: string): readonly string[];
}

const tags = ["if", "unless", "case", "for", "break", "continue", "comment", "raw", "#"];
const filters = [
  ...["append", "prepend", "capitalize", "upcase", "downcase", "strip", "truncate"],
  ...["truncatewords", "replace", "remove", "default", "escape", "url_encode", "date"],
  ...["size", "first", "last", "join", "plus", "minus", "times", "divided_by", "round"],
];

export const maxSource = 50_000;
const maxOutput = 262_144;
const bounds = { parseLimit: maxSource, renderLimit: 200, memoryLimit: 1_000_000 };

/** The library is loaded with the first text. */
export function createTexts(): () => Promise<TextEngine> {
  let loading: Promise<TextEngine> | undefined;
  return () => {
    loading ??= load();
    return loading;
  };
}

async function load(): Promise<TextEngine> {
  const { Liquid } = await import("liquidjs");
  const options = {
    ...bounds,
    strictFilters: true,
    strictVariables: true,
    lenientIf: true,
    ownPropertyOnly: true,
    // Nothing is looked for in files.
    templates: {},
    timezoneOffset: 0,
    locale: "en",
  };
  const plain = only(new Liquid(options));
  const html = only(new Liquid({ ...options, outputEscape: "escape" }));

  const render = (engine: Liquid, source: string, values: Values) => {
    const text = orInvalid<unknown>(() => engine.parseAndRenderSync(source, { ...values }));
    if (typeof text === "string" && text.length <= maxOutput) return text;
    throw invalidTemplate({ detail: `What comes out has more than ${maxOutput} characters` });
  };
  return {
    render: (source, values) => render(plain, source, values),
    renderHtml: (source, values) => render(html, source, values),
    variables: (source) => orInvalid(() => plain.globalVariablesSync(plain.parse(source))),
  };
}

function only(engine: Liquid): Liquid {
  for (const name of Object.keys(engine.tags)) if (!tags.includes(name)) delete engine.tags[name];
  for (const name of Object.keys(engine.filters)) {
    if (!filters.includes(name)) engine.unregisterFilter(name);
  }
  return engine;
}

function orInvalid<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    // Its first line says what is wrong and where; those after it show the text.
    const [detail = ""] = (cause instanceof Error ? cause.message : "").split("\n");
    throw invalidTemplate({ detail: beginning(detail, 300), cause });
  }
}
