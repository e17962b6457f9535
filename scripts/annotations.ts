/**
 * Which requirements a test shows. A comment of its own, directly above the test or the describe:
 *
 *     // Shows S1-023, S1-024
 *     test("registers somebody", …
 *
 * Several such lines may follow one another, and nothing else may stand between them and the test.
 */

export interface Shown {
  readonly id: string;
  readonly file: string;
  /** The test's name, after those of the describes that it is in, as they are written. */
  readonly test: string;
}

const annotation = /^\s*\/\/ Shows (S\d-\d{3}(?:, S\d-\d{3})*)$/;

/** What was meant as one, but would not be read. */
const nearly = /^\s*\/[/*].*\bshows?\b.*\bS\d-\d+/i;

/** Also those that are left out where something is missing, such as `describeWithRedis`. */
const isDescribe = /^\s*describe\w*[.(<]/;

/** `test("name"`, `describe.skipIf(there)("name"` and `it.each([…])("name"`. */
const names = [
  /^\s*[\w.]+(?:<[^(]*>)?\(\s*(["'`])((?:\\.|(?!\1).)*)\1/s,
  /\)\(\s*(["'`])((?:\\.|(?!\1).)*)\1/s,
];

const nameOf = (source: string): string | undefined => {
  for (const pattern of names) {
    const name = pattern.exec(source)?.[2];
    if (name !== undefined) return name.replaceAll(/\\(.)/g, "$1");
  }
  return undefined;
};

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** The lines, empty where they belong to a text of several lines. */
function withoutTexts(lines: readonly string[]): string[] {
  let inside = false;
  return lines.map((line) => {
    const before = inside;
    const isComment = !inside && /^\s*(?:\/\/|\/\*|\*)/.test(line);
    if (!isComment && (line.replaceAll(/\\./g, "").split("`").length - 1) % 2 === 1) {
      inside = !inside;
    }
    return before ? "" : line;
  });
}

/** The names of the describes around a line, the outermost first. */
function around(lines: readonly string[], index: number): string[] {
  const found: string[] = [];
  let indent = indentOf(lines[index] ?? "");
  for (let at = index - 1; at >= 0 && indent > 0; at -= 1) {
    const line = lines[at] ?? "";
    if (line === "" || indentOf(line) >= indent) continue;
    // `])("name", () => {` is where a table ends; what it is the table of begins as far in.
    indent = indentOf(line) + (/^\s*\]?\)\(/.test(line) ? 1 : 0);
    if (isDescribe.test(line)) found.unshift(nameOf(lines.slice(at, index).join("\n")) ?? "");
  }
  return found.filter((name) => name !== "%s");
}

/** What the text of a test file shows, and which of its annotations can't be read. */
export function annotationsIn(file: string, text: string): { shown: Shown[]; problems: string[] } {
  const lines = text.split("\n");
  const code = withoutTexts(lines);
  const shown: Shown[] = [];
  const problems: string[] = [];
  let ids: string[] = [];
  for (const [index, line] of lines.entries()) {
    const found = annotation.exec(line)?.[1];
    if (found) {
      ids.push(...found.split(", "));
      continue;
    }
    const at = `${file}:${index + 1}`;
    if (nearly.test(line)) problems.push(`${at} is no annotation: write // Shows S1-023, S1-024`);
    if (ids.length > 0) {
      const isTest = isDescribe.test(line) || /^\s*(?:test|it)[.(<]/.test(line);
      const name = isTest ? nameOf(lines.slice(index).join("\n")) : undefined;
      if (name === undefined) problems.push(`${at}: no test directly below ${ids.join(", ")}`);
      else {
        const test = [...around(code, index), name].join(" › ");
        shown.push(...ids.map((id) => ({ id, file, test })));
      }
      ids = [];
    }
  }
  return { shown, problems };
}
