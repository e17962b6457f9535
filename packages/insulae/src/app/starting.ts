/** What an app says and does when it starts, whether a program makes it, or `insulae start`. */

import type { Config } from "../config/config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import { createLogger, type Logger } from "../kernel/telemetry/log.ts";
import type { App } from "./app-api.ts";
import { createTerminalLogger } from "./terminal-log.ts";

/** Tells what begins now, and may take a while. */
export type Note = (text: string) => void;

/** What the parts of an app are given for its start. */
export interface Start {
  readonly note: Note;
  /** Whether people read what is printed. */
  readonly watched: boolean;
  /** Says where it listens, which the configuration's URLs follow. */
  readonly moveTo: (port: number) => void;
}

/**
 * Whether people watch: they get a line for each step, and a banner. In production a program reads the log, and
 * whoever gave the app a log of its own, or silenced it, wants nothing else to be printed.
 */
export const isWatched = (
  { env, logLevel }: Pick<Config, "env" | "logLevel">,
  ownLog?: Logger,
): boolean => env !== "production" && logLevel !== "silent" && ownLog === undefined;

/** On stderr for people, otherwise a line of the log. */
export const createNote = (watched: boolean, log: Logger): Note =>
  watched ? (text) => void process.stderr.write(`${text}\n`) : (text) => log.info(text);

/** People read the terminal, programs read JSON lines on stdout. */
export const createDefaultLog = ({ env, logLevel }: Pick<Config, "env" | "logLevel">): Logger =>
  env === "production" ? createLogger(logLevel) : createTerminalLogger(logLevel);

/**
 * Makes the administrator of ADMIN_EMAIL and ADMIN_PASSWORD, if there is none.
 *
 * @param makeUp whether to make one up where these are not set: only where somebody is shown the password.
 */
export async function firstAdmin(
  { adminEmail: email, adminPassword: password }: Pick<Config, "adminEmail" | "adminPassword">,
  ensure: App["ensureAdmin"],
  makeUp: boolean,
): Promise<FirstAdmin | undefined> {
  if (!makeUp && (email === undefined || password === undefined)) return undefined;
  return ensure({ email, password });
}

/** Where a browser on this machine finds it. */
export function urlOf(host: string, address: string): string {
  const { port } = new URL(address);
  const everywhere = ["0.0.0.0", "::", "localhost"].includes(host);
  return `http://${everywhere ? "localhost" : host.includes(":") ? `[${host}]` : host}:${port}`;
}
