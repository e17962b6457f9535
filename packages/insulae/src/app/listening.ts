/** Starts serving, in the same order for `app.run()` and `insulae start`. */

import type { Config } from "../config/config.ts";
import type { HttpServer } from "../kernel/http/server/server.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import type { App } from "./app-api.ts";
import { cannotListen, type ListenOptions, refuseTakenPort } from "./listen-error.ts";
import type { LogPort } from "./log-port.ts";
import { shutdownTimes } from "./shutdown.ts";
import { firstAdmin, type Start, urlOf } from "./starting.ts";
import { type StopOptions, stopOnSignal } from "./stop-on-signal.ts";
import type { TlsEntrance } from "./tls-entrance.ts";
import { version } from "./version.ts";
import { welcome } from "./welcome.ts";

export interface ListenParts extends Pick<Start, "moveTo" | "watched"> {
  /** The application's name. */
  readonly name: string | undefined;
  readonly config: Config;
  readonly http: Pick<HttpServer, "listen">;
  readonly tls: Pick<TlsEntrance, "listen">;
  readonly logPort: Pick<LogPort, "listen">;
  readonly app: Pick<App, "ensureAdmin" | "tenants">;
  /** Makes a token that signs the administrator in once; undefined where there is no console to sign in to. */
  readonly startToken: () => Promise<string | undefined>;
  readonly onListening: () => void;
  readonly log: Logger;
  /** Whether it is one of several workers; their primary does one-time work for all. */
  readonly isWorker: boolean;
}

export function createListen(parts: ListenParts): App["listen"] {
  const { config, moveTo, http, tls, logPort, app, log, watched, isWorker } = parts;

  const open = async (options: ListenOptions): Promise<string> => {
    const { port = config.port, host = config.host, tlsPort = config.tlsPort } = options;
    try {
      moveTo(port);
      const address = await http.listen({ port, host });
      moveTo(Number(new URL(address).port));
      if (tlsPort !== undefined) await tls.listen({ port: tlsPort, host });
      await logPort.listen(host);
      return address;
    } catch (error) {
      throw cannotListen(error, { host, port, tlsPort, wsPort: config.wsPort }, options);
    }
  };

  return async (options = {}) => {
    if (isWorker) return open(options);
    const { port = config.port, host = config.host } = options;
    await refuseTakenPort({ host, port }, options);
    const admin = await firstAdmin(config, app.ensureAdmin, watched);
    const address = await open(options);
    const url = urlOf(host, address);
    parts.onListening();
    log.info({ version, url, pid: process.pid }, "Insulae listens");
    if (watched) {
      const seconds = performance.now() / 1_000;
      const startToken = await parts.startToken();
      const started = { name: parts.name, version, url, config, admin, startToken, seconds };
      process.stdout.write(`${welcome(started)}\n`);
    }
    return address;
  };
}

export interface RunParts extends Pick<StopOptions, "note" | "parent" | "onHangUp"> {
  readonly config: Config;
  readonly listen: App["listen"];
  readonly close: (onDatabaseStop?: () => void) => Promise<void>;
}

export const createRun =
  ({ config, listen, close, ...stop }: RunParts): App["run"] =>
  async (options) => {
    const address = await listen(options).catch(async (error: unknown) => {
      await close();
      throw error;
    });
    stopOnSignal({ ...stop, close, deadlineMs: shutdownTimes(config).deadlineMs });
    return address;
  };
