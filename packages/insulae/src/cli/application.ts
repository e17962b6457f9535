/**
 * Finds the application that a command acts on: the default export of `insulae.config.ts` in the
 * working directory, or of the file given by `--app`. Without either, it is the stock server.
 */
import { spawnSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import type { Application } from "../app/app-api.ts";
import { CommandError, exitCodes } from "../doctor/failure.ts";

/** Checked in this order. */
export const applicationFiles = [
  "insulae.config.ts",
  "insulae.config.mts",
  "insulae.config.js",
  "insulae.config.mjs",
];

/**
 * @param given the value of `--app`
 * @returns the absolute path; undefined if there is no such file and none was given
 * @throws CommandError `application_not_found` if the given file does not exist;
 *   `application_elsewhere` if a parent folder has one
 */
export function findApplication(given: string | undefined): string | undefined {
  if (given !== undefined) {
    const file = resolve(given);
    if (isFile(file)) return file;
    throw new CommandError("application_not_found", `--app: there is no file ${file}.`);
  }
  const file = fileIn(process.cwd());
  if (file !== undefined) return file;
  // Don't fall back to the stock server in a subfolder of an application: nobody means that.
  for (let folder = process.cwd(); dirname(folder) !== folder; folder = dirname(folder)) {
    const above = fileIn(dirname(folder));
    if (above === undefined) continue;
    throw new CommandError(
      "application_elsewhere",
      `The application is in ${above}. Run the command in its folder, or use --app.`,
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
 * @param file undefined: the stock server
 * @param onEnd called if the process ends before the file has been loaded
 * @throws CommandError `application_not_loaded` with the problem and its place in the file
 */
export async function loadApplication(
  file: string | undefined,
  onEnd: (error: CommandError) => void,
): Promise<Application> {
  if (file === undefined) return (await import("../app/application.ts")).stockApplication;
  refuseOtherCopy(file);
  let loaded: { readonly default?: unknown };
  const settled = reportEndWhileLoading(file, onEnd);
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw notLoaded(file, `could not be loaded:\n${describe(file, error)}`);
  } finally {
    settled();
  }
  const { default: application } = loaded;
  if (isApplication(application)) {
    const { checkApplication } = await import("../app/check-application.ts");
    try {
      checkApplication(application);
    } catch (error) {
      throw notLoaded(file, `is invalid. ${error instanceof Error ? error.message : error}`);
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

/** The message with the stack frames of the application's own code. */
function describe(file: string, error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const stack = error.stack ?? "";
  const [theirs = ""] = stack.split(/^\s+at async loadApplication /m);
  const frames = theirs.split("\n").filter((line) => /^\s+at (?!.*\(?node:)/.test(line));
  if (error instanceof SyntaxError && frames.length === 0) {
    // Its location, if it has one, is above the message. Otherwise only Node's own report has it.
    const place = placeIn(stack) ?? placeIn(reportOf(file));
    if (place !== undefined) return `${place}\n${error.message}`;
  }
  return [error.message, ...frames.slice(0, 4)].join("\n");
}

/** What Node reports when it runs the file; of one that can't be parsed, nothing is run. */
const reportOf = (file: string): string =>
  spawnSync(process.execPath, [file], { encoding: "utf8", timeout: 10_000 }).stderr;

/** The file and line, the line's text, and the marks below it. */
const placeIn = (report: string): string | undefined =>
  /^(?:file:\/\/|\/|[A-Za-z]:\\)[^\n]*:\d+\n(?:[^\n]*\n){1,5}?\s*\^+$/m.exec(report)?.[0];

/**
 * Makes it a failure if the process ends while the file is being loaded: otherwise a command that
 * has done nothing would count as a success.
 *
 * @returns to be called once the file has been loaded
 */
function reportEndWhileLoading(file: string, report: (error: CommandError) => void): () => void {
  let cause = "it calls process.exit";
  const onIdle = () => {
    cause = "an await at its top level never settles";
  };
  const onExit = () => {
    report(notLoaded(file, `did not finish loading: ${cause}.`));
  };
  process.once("beforeExit", onIdle).once("exit", onExit);
  return () => void process.off("beforeExit", onIdle).off("exit", onExit);
}

/**
 * Refuses to mix two copies of Insulae in one process, as a globally installed command would: each
 * has its own classes, so errors of one are not recognised by the other.
 */
function refuseOtherCopy(file: string): void {
  // TypeScript in this repository, JavaScript in the package.
  const index = import.meta.url.endsWith(".ts") ? "../index.ts" : "../index.js";
  const own = fileURLToPath(new URL(index, import.meta.url));
  let theirs: string;
  try {
    theirs = createRequire(file).resolve("insulae");
  } catch {
    return; // Insulae is not installed there. Loading the file reports that.
  }
  if (realpathSync(theirs) === realpathSync(own)) return;
  throw new CommandError(
    "other_copy",
    `This command belongs to another copy of Insulae (${own}) than ${file} does (${theirs}). Run \`npx insulae\` in the application's folder.`,
  );
}
