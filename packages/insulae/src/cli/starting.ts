/** What the start of one process and that of several have in common. */

import { availableParallelism } from "node:os";
import type { App } from "../app.ts";
import { type Config, ConfigError } from "../config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import { createLogger, type Logger } from "../kernel/telemetry/log.ts";
import { createTerminalLogger } from "../terminal-log.ts";
import { CommandError } from "./failure.ts";
import { describeTaken } from "./port.ts";

export type Workers = number | "auto";

/** The least that DB_CONNECTIONS may be. */
const leastConnections = 6;

/** How many workers there are to be. @throws ConfigError if there are too few connections for so many. */
export function workersOf({ databaseConnections }: Config, wanted: Workers): number {
  const most = Math.floor(databaseConnections / leastConnections);
  if (wanted === "auto") return Math.max(1, Math.min(availableParallelism(), most));
  if (wanted <= most) return wanted;
  throw new ConfigError([
    `DB_CONNECTIONS is ${databaseConnections}, too few for ${wanted} workers: each needs ${leastConnections}. Raise it to ${wanted * leastConnections}, or start fewer workers`,
  ]);
}

/** People read the terminal, programs read JSON lines: on stdout, unless a document goes there. */
export const logFor = ({ env, logLevel }: Config, json: boolean): Logger =>
  env === "production" && !json ? createLogger(logLevel) : createTerminalLogger(logLevel);

/** In production nobody is made up. */
export async function firstAdmin(
  { env, adminEmail: email, adminPassword: password }: Config,
  ensure: App["ensureAdmin"],
): Promise<FirstAdmin | undefined> {
  if (env === "production" && (email === undefined || password === undefined)) return undefined;
  return ensure({ email, password });
}

/** Names the setting whose port it was: the server listens on up to three. */
export function cannotListen(error: unknown, { host, port, tlsPort, wsPort }: Config): unknown {
  if (!(error instanceof Error && "syscall" in error)) return error;
  const at = "port" in error ? Number(error.port) : port;
  const setting = at === tlsPort ? "TLS_PORT" : at === wsPort ? "APP_WS_PORT" : "PORT";
  if ("code" in error && error.code === "EADDRINUSE") return portTaken(setting, at);
  const message = `The server can't listen at ${host}:${at} (${error.message}). Set HOST to an address of this machine, and ${setting} to a port that you may use.`;
  return new CommandError("cannot_listen", message);
}

export const portTaken = (setting: string, port: number): CommandError =>
  new CommandError(
    "port_taken",
    `${describeTaken(port)}\nStop it, or choose another port: ${setting}=${port + 1} npm start`,
  );

/** Where a browser on this machine finds it. */
export function urlOf({ host }: Config, address: string): string {
  const { port } = new URL(address);
  const everywhere = ["0.0.0.0", "::", "localhost"].includes(host);
  return `http://${everywhere ? "localhost" : host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The example has to work when it is pasted, also at a later start. */
export async function findFreeKey({ tenants }: Pick<App, "tenants">): Promise<string> {
  for (let number = 1; ; number += 1) {
    const key = number === 1 ? "acme" : `acme-${number}`;
    if (!(await tenants.find(key))) return key;
  }
}
