/**
 * Bounds the unanswered requests of a connection (pipelining, RFC 9112, section 9.3.2). Node emits
 * all requests that one read contains, which can be thousands: without a limit, a client that sends
 * them and reads no response would keep the process busy for nothing.
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/** Pipelining clients send fewer; browsers, proxies and most others send one. */
export const mostUnanswered = 10;

export interface Pipelining {
  /** The handler, which closes connections that exceed the limit. */
  readonly bounded: (handler: RequestListener) => RequestListener;
  /** Whether a response is pending. Nothing else may be written to the connection then. */
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
      // Closed by a request that arrived together with this one.
      if (socket.destroyed || count > mostUnanswered) {
        socket.destroy();
        stopParsing(socket);
        return;
      }
      unanswered.set(socket, count);
      // When a connection closes, Node closes all its responses, including queued ones.
      response.on("close", () => unanswered.set(socket, countOf(socket) - 1));
      handler(request, response);
    },
  };
}

/**
 * Otherwise Node would parse everything else it has read: from 64 KiB some 2,400 requests, which
 * takes 40 ms. Its parser stops at a change of protocol, which is what returning 2 means. This is
 * undocumented; without it the requests are parsed and dropped.
 */
function stopParsing(socket: Socket): void {
  const parser: unknown = Reflect.get(socket, "parser");
  if (parser instanceof Object) Reflect.set(parser, "onIncoming", () => 2);
}
