/**
 * Bounds what a connection may ask for before it is answered (pipelining, RFC 9112, section 9.3.2). Node hands
 * on all requests that it finds in what it has read, and one read may hold thousands: a client that sends
 * them and waits for no answer would have the process work for nobody.
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/** Clients that pipeline send fewer; most, and all browsers and proxies, send one. */
export const mostUnanswered = 10;

export interface Pipelining {
  /** The same handler; a connection that asks for too much is closed instead. */
  readonly bounded: (handler: RequestListener) => RequestListener;
  /** Whether the connection waits for an answer. Nothing but answers may be written to it then. */
  readonly isAnswering: (socket: Socket) => boolean;
}

export function createPipelining(): Pipelining {
  const unanswered = new WeakMap<Socket, number>();
  const countOf = (socket: Socket): number => unanswered.get(socket) ?? 0;
  return {
    isAnswering: (socket) => countOf(socket) > 0,
    bounded: (handler) => (request, response) => {
      const { socket } = request;
      const count = countOf(socket) + 1;
      // Closed: by a request that came in together with this one.
      if (socket.destroyed || count > mostUnanswered) {
        socket.destroy();
        stopParsing(socket);
        return;
      }
      unanswered.set(socket, count);
      // Node closes all of a connection's answers when it closes, also those that wait for others.
      response.on("close", () => unanswered.set(socket, countOf(socket) - 1));
      handler(request, response);
    },
  };
}

/**
 * Node would go on to make a request of everything else that it has read: of 64 KiB some 2,400, which takes
 * 40 ms. Its parser stops where the protocol changes, which is what 2 says. Nothing documented does; without
 * it the requests are made, and dropped.
 */
function stopParsing(socket: Socket): void {
  const parser: unknown = Reflect.get(socket, "parser");
  if (parser instanceof Object) Reflect.set(parser, "onIncoming", () => 2);
}
