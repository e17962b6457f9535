/**
 * Finds the application that a command acts on: the default export of `insulae.config.ts` in the working
 * directory, or of the file that `--app` names. Where there is none, it is the stock server.
 */
import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Application } from "../application.ts";
import { CommandError } from "./failure.ts";

/** In this order. */
export const applicationFiles = [
  "insulae.config.ts",
  "insulae.config.mts",
  "insulae.config.js",
  "insulae.config.mjs",
];

/**
 * @param given what follows `--app`. @returns the absolute path, or undefined where there is none.
 * @throws CommandError `application_not_found` if the file that was given is not there.
 */
export function findApplication(given: string | undefined): string | undefined {
  if (given !== undefined) {
    const file = resolve(given);
    if (existsSync(file)) return file;
    throw new CommandError("application_not_found", `--app: there is no file ${file}.`);
  }
  return applicationFiles.map((name) => resolve(name)).find((file) => existsSync(file));
}

/**
 * @param file undefined: the stock server.
 * @throws CommandError `application_not_loaded` with what is wrong with the file, and where.
 */
export async function loadApplication(file: string | undefined): Promise<Application> {
  if (file === undefined) return (await import("../application.ts")).stockApplication;
  refuseOtherCopy(file);
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw notLoaded(file, `could not be loaded:\n${describe(error)}`);
  }
  const { default: application } = loaded;
  if (isApplication(application)) return application;
  const example = "export default defineApp({ features: [...standardFeatures, yours] });";
  throw notLoaded(file, `has no application as its default export:\n  ${example}`);
}

const notLoaded = (file: string, what: string): CommandError =>
  new CommandError("application_not_loaded", `${file} ${what}`);

const isApplication = (value: unknown): value is Application =>
  typeof value === "object" && value !== null && "features" in value;

/** The message, and the frames that say where: an application's author has to find the line. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines = (error.stack ?? "").split("\n").filter((line) => !/^\s+at .*\(?node:/.test(line));
  // Its place is not in a frame, but above the message.
  if (error instanceof SyntaxError) return lines.slice(0, 8).join("\n");
  const frames = lines.filter((line) => /^\s+at /.test(line)).slice(0, 4);
  return [error.message, ...frames].join("\n");
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
