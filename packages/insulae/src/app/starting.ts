/** Output and first steps of an app's start, for `app.run()` and `insulae start`. */

import type { Config } from "../config/config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import { createLogger, type Logger } from "../kernel/telemetry/log.ts";
import type { App } from "./app-api.ts";
import { createTerminalLogger } from "./terminal-log.ts";

/** Reports a step that may take a while. */
export type Note = (text: string) => void;

/** The parameters of a start. */
export interface Start {
  readonly note: Note;
  /** Whether people read the output. */
  readonly watched: boolean;
  /** Sets the actual port, which the configuration's URLs follow. */
  readonly moveTo: (port: number) => void;
}

/**
 * Whether people read the output: then print a line per step, and a banner. In production a program
 * reads the log, and with a logger of its own, or none, the app prints nothing else.
 */
export const isWatched = (
  { env, logLevel }: Pick<Config, "env" | "logLevel">,
  ownLog?: Logger,
): boolean => env !== "production" && logLevel !== "silent" && ownLog === undefined;

/** On stderr for people, otherwise to the log. */
export const createNote = (watched: boolean, log: Logger): Note =>
  watched ? (text) => void process.stderr.write(`${text}\n`) : (text) => log.info(text);

/** Short lines on stderr for people, JSON lines on stdout for programs. */
export const createDefaultLog = ({ env, logLevel }: Pick<Config, "env" | "logLevel">): Logger =>
  env === "production" ? createLogger(logLevel) : createTerminalLogger(logLevel);

/**
 * Creates the administrator of ADMIN_EMAIL and ADMIN_PASSWORD, if there is none.
 *
 * @param makeUp whether to generate one if these are not set: only if somebody sees the password
 */
export async function firstAdmin(
  { adminEmail: email, adminPassword: password }: Pick<Config, "adminEmail" | "adminPassword">,
  ensure: App["ensureAdmin"],
  makeUp: boolean,
): Promise<FirstAdmin | undefined> {
  if (!makeUp && (email === undefined || password === undefined)) return undefined;
  return ensure({ email, password });
}

/** The URL for a browser on this machine. */
export function urlOf(host: string, address: string): string {
  const { port } = new URL(address);
  const everywhere = ["0.0.0.0", "::", "localhost"].includes(host);
  return `http://${everywhere ? "localhost" : host.includes(":") ? `[${host}]` : host}:${port}`;
}
