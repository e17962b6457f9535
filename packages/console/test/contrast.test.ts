import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { contrastOf } from "../src/lib/color.ts";

const css = readFileSync(new URL("../src/ui/theme.css", import.meta.url), "utf8");
const blocks = {
  light: css.slice(css.indexOf(":root {"), css.indexOf(':root[data-theme="dark"]')),
  dark: css.slice(css.indexOf(':root[data-theme="dark"]')),
};

const texts = ["text", "text-2", "accent", "good", "bad", "warn"];
const pairs: readonly (readonly [string, string])[] = [
  ...texts.flatMap((text) =>
    ["surface", "ground", "surface-2"].map((ground) => [text, ground] as const),
  ),
  ["on-accent", "accent"],
  ["accent", "accent-soft"],
  ["good", "good-soft"],
  ["bad", "bad-soft"],
  ["warn", "warn-soft"],
  ["rail-text", "rail"],
  ["rail-active-text", "rail-active"],
];

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  const colorOf = (name: string): string => {
    const found = new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(blocks[theme])?.[1];
    if (found === undefined) throw new Error(`${theme} has no --${name}`);
    return found;
  };

  test.each(pairs)("--%s can be read on --%s", (text, ground) => {
    expect(contrastOf(colorOf(text), colorOf(ground))).toBeGreaterThanOrEqual(4.5);
  });

  test.each(["surface", "ground"])("the edge of a field is seen on --%s", (ground) => {
    expect(contrastOf(colorOf("edge"), colorOf(ground))).toBeGreaterThanOrEqual(3);
  });
});
