import { globSync, readFileSync } from "node:fs";

const limit = 400;

/** A file past the limit says why in a comment that starts so. */
const reason = /^\s*(?:\/\/|\*|\/\*\*?) Long because /m;

/** Source files past 400 lines that give no reason. */
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
