/**
 * The servers of Node beneath Fastify: one for each address that is listened on (`localhost` has
 * two), all alike, and closed together in good order: what is in flight is finished, everything else
 * is closed, and the whole is bounded in time.
 *
 * Node's `server.close()` closes the connections that are idle at that moment. It leaves those that
 * become idle afterwards, and those on which nothing was ever sent (browsers open some in advance),
 * which would hold up the end until their timeouts.
 */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { Socket } from "node:net";
import { answerConnectionError, answerExpectations } from "./connection-errors.ts";

export interface NodeServersOptions {
  readonly requestTimeoutMs: number;
  /** How long what is in flight may take once `close` was called. */
  readonly graceMs: number;
}

export interface NodeServers {
  readonly create: (handler: RequestListener) => Server;
  /** Begins to close all, and waits for all but `main`, which Fastify closes itself. */
  readonly close: (main: Server) => Promise<void>;
}

export function createNodeServers({ requestTimeoutMs, graceMs }: NodeServersOptions): NodeServers {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  const closeIdle = (): void => {
    for (const server of servers) server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  const closeAll = (): void => {
    for (const server of servers) server.closeAllConnections();
  };

  return {
    create(handler) {
      const server = createServer(
        {
          maxHeaderSize: 16_384,
          requestTimeout: requestTimeoutMs,
          headersTimeout: Math.min(10_000, requestTimeoutMs),
          connectionsCheckingInterval: Math.min(2_000, requestTimeoutMs),
          keepAliveTimeout: 72_000,
          requireHostHeader: true,
          insecureHTTPParser: false,
        },
        handler,
      );
      server.on("clientError", answerConnectionError);
      answerExpectations(server);
      server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      });
      servers.push(server);
      return server;
    },
    async close(main) {
      closeIdle();
      const again = setInterval(closeIdle, 50);
      const late = setTimeout(closeAll, graceMs);
      const stop = (): void => {
        clearInterval(again);
        clearTimeout(late);
      };
      if (main.listening) main.once("close", stop);
      else stop();
      const others = servers.filter((server) => server !== main && server.listening);
      await Promise.all(
        others.map((server) => {
          server.close();
          return once(server, "close");
        }),
      );
    },
  };
}
