import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The path of a program. Debian has servers in /usr/sbin, which is not on everybody's PATH.
 *
 * @returns undefined if it is missing
 * @throws Error if it is missing and the variable is `required`, as in CI
 */
export function findProgram(name: string, variable: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  const found = folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (found === undefined && process.env[variable] === "required") {
    throw new Error(`There is no ${name} on the PATH, and ${variable} is \`required\``);
  }
  return found;
}
