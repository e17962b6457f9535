/**
 * How a WebSocket's handshake (RFC 6455, section 4) becomes a request like any other. Node gives it
 * apart from requests, with the bare connection. Here it gets an answer to write to and goes the way
 * of all requests: limits, origin, who asks, may they. What is refused on the way is answered as
 * always, and the connection ends; the route that takes WebSockets takes the connection instead.
 */
import { type IncomingMessage, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A connection that waits to be taken over. */
export interface Handshake {
  readonly socket: Socket;
  /** What came in behind the request. */
  readonly head: Buffer;
}

export interface Upgrades {
  /**
   * Has the server's handshakes handled like its requests.
   *
   * @param isAnswering whether the connection waits for another answer: then it is closed. A handshake
   *   begins a connection, and Node would end the process if it were answered on one in use.
   */
  listen(
    server: Pick<Server, "on">,
    isAnswering: (socket: Socket) => boolean,
    handler: RequestListener,
  ): void;
  /** The connection of a request that asks for a WebSocket, from now on the caller's; once. */
  take(request: IncomingMessage): Handshake | undefined;
}

/** For `createServer`: whatever else asks for another protocol is served as if it had not. */
export const asksForWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === "GET" && headers.upgrade?.toLowerCase() === "websocket";

export function createUpgrades(): Upgrades {
  const waiting = new WeakMap<IncomingMessage, Handshake & { readonly response: ServerResponse }>();

  return {
    listen(server, isAnswering, handler) {
      server.on("upgrade", (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
        const socket = duplex as Socket; // of a server that listens on TCP
        // From now on nobody else does: a client that goes away would end the process.
        socket.on("error", () => socket.destroy());
        if (socket.destroyed || isAnswering(socket)) {
          socket.destroy();
          return;
        }
        const response = new ServerResponse(request);
        response.shouldKeepAlive = false;
        response.assignSocket(socket);
        response.once("finish", () => socket.destroySoon());
        if (asksForWebSocket(request)) waiting.set(request, { socket, head, response });
        handler(request, response);
      });
    },
    take(request) {
      const found = waiting.get(request);
      if (!found) return undefined;
      waiting.delete(request);
      found.response.detachSocket(found.socket);
      return found;
    },
  };
}
