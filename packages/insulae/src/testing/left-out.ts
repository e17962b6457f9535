/**
 * Tests that need an external program. If it is missing they are skipped, and the run ends with a
 * line that lists them; if the program's variable is `required` (as in CI) they fail.
 */
import { accessSync, appendFileSync, constants, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe } from "vitest";

/** The path of the first of these programs on the PATH. */
export const findProgram = (...names: readonly string[]): string | undefined =>
  findPrograms(...names)[0];

/** The paths of all these programs on the PATH. */
export const findPrograms = (...names: readonly string[]): string[] =>
  names
    .flatMap((name) => (process.env.PATH ?? "").split(delimiter).map((place) => join(place, name)))
    .filter((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

export interface NeededProgram {
  /** `a redis-server`, for the line about skipped tests. */
  readonly name: string;
  /** The variable that can be `required`. */
  readonly variable: string;
  readonly find: () => string | undefined;
}

/** Creates a `describe` for tests that need a program. */
export const describeWith =
  ({ name: program, variable, find }: NeededProgram) =>
  (name: string, tests: () => void): void => {
    if (find()) {
      describe(name, tests);
      return;
    }
    if (process.env[variable] === "required") {
      throw new Error(`There is no ${program} on the PATH, and ${variable} is \`required\``);
    }
    appendFileSync(join(tmpdir(), "left-out.txt"), `${name} (no ${program})\n`);
    describe.skip(name, tests);
  };

/** The tests skipped in this run, for its end. */
export function leftOutTests(folder: string): string[] {
  try {
    return readFileSync(join(folder, "left-out.txt"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}
