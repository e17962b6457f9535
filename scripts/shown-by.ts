/**
 * Reads which tests show which requirements: `docs/requirements/shown-by.yaml`. It names a test by
 * the base name of its file, so that files can move, and by its name after those of the enclosing
 * describes.
 */
import { parse } from "yaml";

export interface Shown {
  readonly id: string;
  /** The path of the test's file. */
  readonly file: string;
  readonly test: string;
}

/** Whether the file's text contains each of the names as a string, whatever the quotes. */
function has(text: string, test: string): boolean {
  return test
    .split(" › ")
    .every((name) => ['"', "'", "`"].some((quote) => text.includes(`${quote}${name}${quote}`)));
}

/** The evidence in `yaml`, and problems such as tests that don't exist. */
export function shownIn(
  yaml: string,
  files: readonly (readonly [path: string, text: string])[],
): { shown: Shown[]; problems: string[] } {
  const shown: Shown[] = [];
  const problems: string[] = [];
  const tests = parse(yaml) as Record<string, Record<string, string[]>>; // checked below
  const unescaped = files.map(([path, text]) => [path, text.replaceAll(/\\(.)/g, "$1")] as const);
  for (const [name, entries] of Object.entries(tests)) {
    const named = unescaped.filter(([path]) => path.endsWith(`/${name}`));
    if (named.length === 0) problems.push(`shown-by.yaml names ${name}, which does not exist`);
    for (const [test, ids] of Object.entries(entries)) {
      const found = named.filter(([, text]) => has(text, test));
      if (named.length > 0 && found.length === 0) {
        problems.push(`shown-by.yaml: ${name} has no test "${test}"`);
      }
      for (const [file] of found) shown.push(...ids.map((id) => ({ id, file, test })));
    }
  }
  return { shown, problems };
}
