/**
 * What each command works with. A command is a function of a context and its input; it returns what
 * it has to say, as a document and as text, and one place prints either.
 */
import { readFileSync } from "node:fs";
import type { Application } from "../app/application.ts";
import { withStoredSecrets } from "../app/secret-store.ts";
import { ConfigError } from "../config/config.ts";
import { printable, printableLines } from "../kernel/lib/text.ts";
import { findApplication, loadApplication } from "./application.ts";
import { parseEnvironmentFile } from "./environment-file.ts";
import { type ExitCode, exitCodes, explain } from "./failure.ts";

export interface Result {
  /** What `--json` prints. */
  readonly document: unknown;
  /** What people read, without a newline at its end; empty: nothing. */
  readonly text: string;
  /** Default 0. */
  readonly exitCode?: ExitCode;
}

export interface CommandContext {
  /** What the command acts on; loaded when it is first asked for. */
  readonly application: () => Promise<Application>;
  /** Its file; absent: the stock server. */
  readonly applicationFile: string | undefined;
  /** Whether the answer is to be one JSON document. */
  readonly json: boolean;
  /** The environment, with what `.env` adds to it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Tells of progress, on stderr. */
  readonly note: (text: string) => void;
}

export type RunCommand = (command: (context: CommandContext) => Promise<Result>) => Promise<void>;

export interface GlobalOptions {
  readonly json: boolean;
  /** The file that exports the application. */
  readonly app?: string | undefined;
}

/** Runs a command, prints what it returns or how it failed, and sets the process's exit code. */
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
        application ??= loadApplication(applicationFile);
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

/** What was to be printed is lost, unless nobody wants it any more (`insulae tenant list | head -1`). */
export function printLoss(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") return;
  process.stderr.write(`error: The output can't be written (${error.message}).\n`);
  process.exitCode = exitCodes.failed;
  // A command that succeeds later doesn't change that.
  process.once("exit", () => {
    process.exitCode = exitCodes.failed;
  });
}

/** Prints how a command failed, and sets the process's exit code. */
export function printFailure(error: unknown, json: boolean): void {
  const { code, message, exitCode } = explain(error);
  process.exitCode = exitCode;
  if (json) {
    process.stdout.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
  } else {
    // Its lines are ours; what stands in them may be others'.
    process.stderr.write(`error: ${message.split("\n").map(printable).join("\n")}\n`);
  }
  const wanted = /^(debug|trace)/.test(process.env.LOG_LEVEL ?? "");
  if (wanted && error instanceof Error) {
    process.stderr.write(`${printableLines(error.stack ?? error.message)}\n`);
  }
}

/**
 * Adds the variables of `.env` in the working directory to the environment; those that are set already
 * stay. @param note hears of names that are nearly a setting's.
 *
 * @throws ConfigError if the file can't be read as it stands.
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
