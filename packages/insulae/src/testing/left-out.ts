/**
 * Tests that need a program which not every machine has. Where it is missing they are left out, and the
 * run ends with a line that says which; where its variable is `required` (as in CI) they fail instead.
 */
import { accessSync, appendFileSync, constants, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe } from "vitest";

/** The first of the programs that is on the PATH. */
export const findProgram = (...names: readonly string[]): string | undefined =>
  findPrograms(...names)[0];

/** All of the programs that are on the PATH. */
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
  /** `a redis-server`, for the line that says what is missing. */
  readonly name: string;
  /** The variable that may say `required`. */
  readonly variable: string;
  readonly find: () => string | undefined;
}

/** Makes the `describe` for tests that need a program. */
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

/** What the tests of this run left out for want of a program, for the end of the run. */
export function leftOutTests(folder: string): string[] {
  try {
    return readFileSync(join(folder, "left-out.txt"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}
