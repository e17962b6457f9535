/**
 * Finds the application that a command acts on: the default export of `insulae.config.ts` in the working
 * directory, or of the file that `--app` names. Where there is none, it is the stock server.
 */
import { spawnSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import type { Application } from "../app/application.ts";
import { CommandError, exitCodes } from "./failure.ts";

/** In this order. */
export const applicationFiles = [
  "insulae.config.ts",
  "insulae.config.mts",
  "insulae.config.js",
  "insulae.config.mjs",
];

/**
 * @param given what follows `--app`. @returns the absolute path, or undefined where there is none.
 * @throws CommandError `application_not_found` if the file that was given is not there;
 *   `application_elsewhere` if one is in a folder above.
 */
export function findApplication(given: string | undefined): string | undefined {
  if (given !== undefined) {
    const file = resolve(given);
    if (isFile(file)) return file;
    throw new CommandError("application_not_found", `--app: there is no file ${file}.`);
  }
  const file = fileIn(process.cwd());
  if (file !== undefined) return file;
  // The stock server, on a data folder of its own, is not what was meant.
  for (let folder = process.cwd(); dirname(folder) !== folder; folder = dirname(folder)) {
    const above = fileIn(dirname(folder));
    if (above === undefined) continue;
    throw new CommandError(
      "application_elsewhere",
      `The application is in ${above}. Run the command in its folder, or say --app.`,
      exitCodes.usage,
    );
  }
  return undefined;
}

const fileIn = (folder: string): string | undefined =>
  applicationFiles.map((name) => join(folder, name)).find(isFile);

const isFile = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/**
 * @param file undefined: the stock server.
 * @throws CommandError `application_not_loaded` with what is wrong with the file, and where.
 */
export async function loadApplication(file: string | undefined): Promise<Application> {
  if (file === undefined) return (await import("../app/application.ts")).stockApplication;
  refuseOtherCopy(file);
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw notLoaded(file, `could not be loaded:\n${describe(file, error)}`);
  }
  const { default: application } = loaded;
  if (isApplication(application)) {
    const { checkApplication } = await import("../app/check-application.ts");
    try {
      checkApplication(application);
    } catch (error) {
      throw notLoaded(file, `is not right. ${error instanceof Error ? error.message : error}`);
    }
    return application;
  }
  const example = "export default defineApp({ features: [...standardFeatures, yours] });";
  throw notLoaded(file, `has no application as its default export:\n  ${example}`);
}

const notLoaded = (file: string, what: string): CommandError =>
  new CommandError("application_not_loaded", `${file} ${what}`);

const isApplication = (value: unknown): value is Application =>
  typeof value === "object" && value !== null && "features" in value;

/** The message, and the frames that say where: an application's author has to find the line. */
function describe(file: string, error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const lines = (error.stack ?? "").split("\n").filter((line) => !/^\s+at .*\(?node:/.test(line));
  const frames = lines.filter((line) => /^\s+at /.test(line)).slice(0, 4);
  // What can't be parsed has its place above the message, if at all, and none of it has run.
  if (error instanceof SyntaxError && frames.length === 0) return placeOf(file, lines);
  return [error.message, ...frames].join("\n");
}

/** Only Node itself, when it ends because of a syntax error, says where in which file that is. */
function placeOf(file: string, lines: readonly string[]): string {
  const { stderr } = spawnSync(process.execPath, [file], { encoding: "utf8", timeout: 10_000 });
  const place = stderr.split("\n\n")[0] ?? "";
  return place.includes(":") ? `${place}\n${lines.at(-1)}` : lines.slice(0, 8).join("\n");
}

/**
 * Two copies of Insulae in one process know nothing of each other: an error of the one is none of the other.
 * A command that is installed globally would bring the second.
 */
function refuseOtherCopy(file: string): void {
  // As TypeScript here, as JavaScript in the package.
  const index = import.meta.url.endsWith(".ts") ? "../index.ts" : "../index.js";
  const own = fileURLToPath(new URL(index, import.meta.url));
  let theirs: string;
  try {
    theirs = createRequire(file).resolve("insulae");
  } catch {
    return; // It is not installed there; loading the file says so.
  }
  if (realpathSync(theirs) === realpathSync(own)) return;
  throw new CommandError(
    "other_copy",
    `This command belongs to another copy of Insulae (${own}) than ${file} does (${theirs}). Run \`npx insulae\` in the application's folder.`,
  );
}
