/**
 * The frame of every command. A command is a function of a context and its input. It returns its
 * result as a document and as text, and this file prints one of them.
 */
import { readFileSync } from "node:fs";
import type { Application } from "../app/app-api.ts";
import { withStoredSecrets } from "../app/secret-store.ts";
import { ConfigError } from "../config/config.ts";
import { type ExitCode, exitCodes, explain } from "../doctor/failure.ts";
import { printable, printableLines } from "../kernel/lib/text.ts";
import { findApplication, loadApplication } from "./application.ts";
import { parseEnvironmentFile } from "./environment-file.ts";

export interface Result {
  /** Printed with `--json`. */
  readonly document: unknown;
  /** Printed otherwise, without a trailing newline; empty: nothing. */
  readonly text: string;
  /** Default 0. */
  readonly exitCode?: ExitCode;
}

export interface CommandContext {
  /** The application to act on, loaded on first use. */
  readonly application: () => Promise<Application>;
  /** Its file; absent for the stock server. */
  readonly applicationFile: string | undefined;
  /** Print a single JSON document. */
  readonly json: boolean;
  /** The environment, completed by `.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reports progress on stderr. */
  readonly note: (text: string) => void;
}

export type RunCommand = (command: (context: CommandContext) => Promise<Result>) => Promise<void>;

export interface GlobalOptions {
  readonly json: boolean;
  /** The file that exports the application. */
  readonly app?: string | undefined;
}

/** Runs a command, prints its result or error, and sets the process's exit code. */
export async function runCommand(
  { json, app }: GlobalOptions,
  command: (context: CommandContext) => Promise<Result>,
): Promise<void> {
  const note = (text: string) => void process.stderr.write(`${text}\n`);
  try {
    const env = await withStoredSecrets(readEnvironment(note));
    const applicationFile = findApplication(app);
    let application: Promise<Application> | undefined;
    const result = await command({
      json,
      env,
      note,
      applicationFile,
      application() {
        application ??= loadApplication(applicationFile, (error) => printFailure(error, json));
        return application;
      },
    });
    const output = json ? JSON.stringify(result.document, null, 2) : result.text;
    if (output !== "") process.stdout.write(`${output}\n`);
    process.exitCode = result.exitCode ?? exitCodes.ok;
  } catch (error) {
    printFailure(error, json);
  }
}

/**
 * Reports that output was lost, except when the reader has left (`insulae tenant list | head -1`).
 */
export function printLoss(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") return;
  process.stderr.write(`error: The output can't be written (${error.message}).\n`);
  process.exitCode = exitCodes.failed;
  // Set at exit, so that the command's own success does not overwrite it.
  process.once("exit", () => {
    process.exitCode = exitCodes.failed;
  });
}

/** Prints an error and sets the process's exit code. */
export function printFailure(error: unknown, json: boolean): void {
  const { code, message, exitCode } = explain(error);
  process.exitCode = exitCode;
  if (json) {
    process.stdout.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
  } else {
    // The line breaks are ours; escape control characters inside the lines, which may come from
    // others.
    process.stderr.write(`error: ${message.split("\n").map(printable).join("\n")}\n`);
  }
  const wanted = /^(debug|trace)/.test(process.env.LOG_LEVEL ?? "");
  if (wanted && error instanceof Error) {
    process.stderr.write(`${printableLines(error.stack ?? error.message)}\n`);
  }
}

/**
 * Adds the variables of `.env` in the working directory to the environment. Variables that are
 * already set win.
 *
 * @param note receives warnings about names that nearly match a setting
 * @throws ConfigError if the file can't be read or parsed
 */
export function readEnvironment(
  note: (text: string) => void,
): Readonly<Record<string, string | undefined>> {
  const bytes = readIfThere(".env");
  if (bytes) {
    const { values, doubts } = parseEnvironmentFile(bytes);
    for (const doubt of doubts) note(doubt);
    for (const [name, value] of Object.entries(values)) process.env[name] ??= value;
  }
  return process.env;
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`the file ${path} can't be read (${why})`]);
  }
}
