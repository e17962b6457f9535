import { globSync, readFileSync } from "node:fs";

const limit = 400;

/** A file over the limit gives its reason in a comment that starts like this. */
const reason = /^\s*(?:\/\/|\*|\/\*\*?) Long because /m;

/** Source files over 400 lines without a reason. */
export function longFiles(): string[] {
  return globSync("{packages,examples,acceptance,bench,scripts}/**/*.{ts,tsx}", {
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.gen.ts"],
  })
    .map((file) => ({ file, text: readFileSync(file, "utf8") }))
    .map(({ file, text }) => ({ file, lines: text.split("\n").length, excused: reason.test(text) }))
    .filter(({ lines, excused }) => lines > limit && !excused)
    .map(
      ({ file, lines }) => `${file} has ${lines} lines; split it, or say why ("Long because …")`,
    );
}
