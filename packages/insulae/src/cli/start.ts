import { flushCompileCache } from "node:module";
import { type App, createApp } from "../app.ts";
import { type Config, loadConfig } from "../config.ts";
import type { FirstAdmin } from "../features/accounts/accounts.feature.ts";
import { createLogger, type Logger } from "../kernel/telemetry/log.ts";
import { shutdownTimes } from "../shutdown.ts";
import { version } from "../version.ts";
import type { CommandContext, Result } from "./command.ts";
import { CommandError } from "./failure.ts";
import { createTerminalLogger } from "./logger.ts";
import { describeTaken, isPortTaken } from "./port.ts";
import { stopOnSignal } from "./stop.ts";
import { welcome, welcomeDocument } from "./welcome.ts";

/** Starts the server. It returns when it listens; the process goes on until it gets a signal. */
export async function start(
  { env, json, note }: CommandContext,
  options: { readonly port?: number },
): Promise<Result> {
  const parent = process.ppid;
  const overrides = options.port === undefined ? {} : { port: options.port };
  const config = loadConfig(env, overrides);
  // Before the database is started, which takes a while the first time.
  if (await isPortTaken(config.host, config.port)) throw portTaken("PORT", config.port);

  const log = logFor(config, json);
  let databaseStops = () => {};
  const onDatabaseStop = () => databaseStops();
  const app = await createApp({ env, config: overrides, log, onDatabaseStop });
  let address: string;
  let admin: FirstAdmin | undefined;
  try {
    admin = await firstAdmin(app, config);
    address = await app.listen().catch((error: unknown) => {
      throw cannotListen(error, config);
    });
  } catch (error) {
    await app.close();
    throw error;
  }
  stopOnSignal({
    close: (onDatabaseStop) => {
      databaseStops = onDatabaseStop;
      return app.close();
    },
    deadlineMs: shutdownTimes(config).deadlineMs,
    note: config.env === "production" ? () => {} : note,
    parent,
    ...(config.logFile !== undefined && { onHangUp: app.reopenLog }),
  });
  setImmediate(flushCompileCache);

  const url = urlOf(config, address);
  const started = {
    version,
    url,
    config,
    admin,
    freeKey: await findFreeKey(app),
    seconds: performance.now() / 1000,
  };
  const text = config.env === "production" ? "" : welcome(started);
  log.info({ version, url, pid: process.pid }, "Insulae listens");
  return { document: welcomeDocument(started), text };
}

/** People read the terminal, programs read JSON lines: on stdout, unless a document goes there. */
const logFor = ({ env, logLevel }: Config, json: boolean): Logger =>
  env === "production" && !json ? createLogger(logLevel) : createTerminalLogger(logLevel);

/** In production nobody is made up. */
async function firstAdmin(app: App, config: Config): Promise<FirstAdmin | undefined> {
  const { env, adminEmail: email, adminPassword: password } = config;
  if (env === "production" && (email === undefined || password === undefined)) return undefined;
  return app.ensureAdmin({ email, password });
}

/** Names the setting whose port it was: the server listens on up to three. */
function cannotListen(error: unknown, { host, port, tlsPort, wsPort }: Config): unknown {
  if (!(error instanceof Error && "syscall" in error)) return error;
  const at = "port" in error ? Number(error.port) : port;
  const setting = at === tlsPort ? "TLS_PORT" : at === wsPort ? "APP_WS_PORT" : "PORT";
  if ("code" in error && error.code === "EADDRINUSE") return portTaken(setting, at);
  const message = `The server can't listen at ${host}:${at} (${error.message}). Set HOST to an address of this machine, and ${setting} to a port that you may use.`;
  return new CommandError("cannot_listen", message);
}

const portTaken = (setting: string, port: number): CommandError =>
  new CommandError(
    "port_taken",
    `${describeTaken(port)}\nStop it, or choose another port: ${setting}=${port + 1} npm start`,
  );

/** Where a browser on this machine finds it. */
function urlOf({ host }: Config, address: string): string {
  const { port } = new URL(address);
  const everywhere = ["0.0.0.0", "::", "localhost"].includes(host);
  return `http://${everywhere ? "localhost" : host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The example has to work when it is pasted, also at a later start. */
async function findFreeKey(app: App): Promise<string> {
  for (let number = 1; ; number += 1) {
    const key = number === 1 ? "acme" : `acme-${number}`;
    if (!(await app.tenants.find(key))) return key;
  }
}
