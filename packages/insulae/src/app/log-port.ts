/**
 * The separate port of the log stream (`APP_WS_PORT`), so that a firewall can restrict who watches
 * logs. If the port is taken in development, perhaps by another server, the stream is available on
 * the main port only.
 */
import type { Config } from "../config/config.ts";
import { logStreamPath } from "../features/logs/logs.feature.ts";
import type { HttpServer } from "../kernel/http/server/server.ts";
import type { Logger } from "../kernel/telemetry/log.ts";

export interface LogPort {
  /** @throws the error of listening, in production */
  listen(host: string): Promise<void>;
  /** The port, once it listens. */
  readonly port: () => number | undefined;
}

export function createLogPort(options: {
  readonly config: Pick<Config, "wsPort" | "env">;
  readonly http: Pick<HttpServer, "listenFor">;
  readonly log: Logger;
}): LogPort {
  const { config, http, log } = options;
  let port: number | undefined;
  return {
    port: () => port,
    async listen(host) {
      if (config.wsPort === 0) return;
      try {
        const routes = { "/logs": logStreamPath };
        ({ port } = await http.listenFor({ port: config.wsPort, host, routes }));
      } catch (error) {
        if (config.env === "production" || !isTaken(error)) throw error;
        log.warn(
          { port: config.wsPort },
          `The port of the log stream is taken; the stream is only at ${logStreamPath} (set APP_WS_PORT to another port, or 0 for none)`,
        );
      }
    },
  };
}

const isTaken = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "EADDRINUSE";
