/**
 * The servers of Node beneath Fastify: one for each address that is listened on (`localhost` has
 * two), and perhaps one that ends TLS, all alike, and closed together in good order, so that no request
 * is lost:
 *
 *   drain          answers say `Connection: close`; everything is served
 *   stopListening  new connections are refused
 *   finish         requests in flight are finished, idle connections closed; bounded in time
 *
 * Node's `server.close()` closes the connections that are idle at that moment. It leaves those that
 * become idle afterwards, and those on which nothing was ever sent (browsers open some in advance),
 * which would hold up the end until their timeouts.
 */
import { constants } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { CertificatePair } from "../../tls/certificate-pair.ts";
import type { SniCallback } from "../../tls/server-identity.ts";
import { takeOriginForm } from "../request/request-guard.ts";
import { asksForWebSocket, type Upgrades } from "../sockets/upgrades.ts";
import { answerConnectionError, refuseExpectation } from "./connection-errors.ts";
import { createPipelining } from "./pipelining.ts";

export interface NodeServersOptions {
  /** How long a request may take to come in. */
  readonly requestTimeoutMs: number;
  /** How long one may that was given time. */
  readonly longTimeoutMs: number;
  /** How long what is in flight may take to finish. */
  readonly graceMs: number;
  readonly upgrades: Upgrades;
}

export interface TlsOptions {
  /** Chooses the certificate by the host that the client asks for. */
  readonly sniCallback: SniCallback;
  /** The certificate for clients whose host has none. */
  readonly certificate?: CertificatePair | undefined;
}

export interface NodeServers {
  readonly create: (handler: RequestListener) => Server;
  /** One that ends TLS. Clients are asked for a certificate, and served without one, too. */
  readonly createTls: (handler: RequestListener, tls: TlsOptions) => TlsServer;
  /** This request may take long to come in. */
  readonly allowSlowBody: (request: IncomingMessage) => void;
  /** How many connections are open. */
  readonly connections: () => number;
  /** From now on each answer is the last one on its connection, and says so. */
  readonly drain: () => void;
  /** Drains too. New connections are refused; those that were accepted are still served. */
  readonly stopListening: () => Promise<void>;
  /** Closes connections as they become idle, and all of them when the grace is over. */
  readonly finish: () => Promise<void>;
}

export function createNodeServers(options: NodeServersOptions): NodeServers {
  const { requestTimeoutMs, longTimeoutMs, graceMs, upgrades } = options;
  const servers: (Server | TlsServer)[] = [];
  /** By when they were opened. */
  const sockets = new Map<Socket, number>();
  let accepted = 0;
  let draining = false;
  let closed: readonly Promise<unknown>[] = [];

  const closeIdle = (): void => {
    for (const server of servers) server.closeIdleConnections();
    const before = performance.now() - firstBytesMs;
    for (const [socket, openedAt] of sockets) {
      if (socket.bytesRead === 0 && openedAt < before) socket.destroy();
    }
  };
  const closeAll = (): void => {
    for (const server of servers) server.closeAllConnections();
    // Those that are still shaking hands.
    for (const socket of sockets.keys()) socket.destroy();
  };

  const headersTimeout = Math.min(10_000, requestTimeoutMs);
  const checkEveryMs = Math.min(2_000, requestTimeoutMs);
  const incoming = createIncoming(requestTimeoutMs, checkEveryMs);
  const pipelining = createPipelining();
  const http = {
    maxHeaderSize: 16_384,
    requestTimeout: longTimeoutMs,
    headersTimeout,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: 72_000,
    requireHostHeader: true,
    insecureHTTPParser: false,
    shouldUpgradeCallback: asksForWebSocket,
  };

  const remember = (socket: Socket): void => {
    accepted += 1;
    sockets.set(socket, performance.now());
    socket.once("close", () => sockets.delete(socket));
  };
  /** The one listener for requests: Node copies the list of listeners for each request if there are two. */
  const listener =
    (handler: RequestListener): RequestListener =>
    (request, response) => {
      if (draining) response.setHeader("connection", "close");
      // Before the handler, which may give the request time.
      incoming.add(request);
      handler(request, response);
    };
  const prepared = (handler: RequestListener): RequestListener =>
    pipelining.bounded((request, response) => {
      takeOriginForm(request);
      handler(request, response);
    });
  const equip = <S extends Server | TlsServer>(server: S, handler: RequestListener): S => {
    upgrades.listen(server, pipelining.isAnswering, handler);
    server.on("clientError", answerConnectionError);
    server.on("checkExpectation", pipelining.bounded(refuseExpectation));
    server.on("connection", remember);
    servers.push(server);
    return server;
  };

  return {
    create(given) {
      const handler = prepared(given);
      return equip(createServer(http, listener(handler)), handler);
    },
    createTls(given, { sniCallback, certificate }) {
      const handler = prepared(given);
      const server = createTlsServer(
        {
          ...http,
          ...(certificate && { cert: certificate.cert, key: certificate.key }),
          SNICallback: sniCallback,
          minVersion: "TLSv1.2",
          ALPNProtocols: ["http/1.1"],
          // Whoever only begins to shake hands is as slow as whoever only begins a request.
          handshakeTimeout: headersTimeout,
          requestCert: true,
          // Whose certificate it is, and whether it counts, is looked up for each request.
          rejectUnauthorized: false,
          sessionIdContext: "insulae",
          // A connection's certificate is that of its beginning.
          secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
        },
        listener(handler),
      );
      // Bytes of the handshake are no request: what counts is what comes out of it.
      server.on("secureConnection", remember);
      return equip(server, handler);
    },
    allowSlowBody: incoming.delete,
    connections: () => sockets.size,
    drain() {
      draining = true;
    },
    async stopListening() {
      draining = true;
      const listening = servers.filter((server) => server.listening);
      if (listening.length > 0) await quietTurn(() => accepted);
      // Node's HTTP servers look for idle connections first, which takes longer than all the rest.
      for (const server of listening) stopAccepting.call(server);
      closed = listening.map((server) => {
        server.close();
        return once(server, "close");
      });
    },
    async finish() {
      incoming.close();
      closeIdle();
      const again = setInterval(closeIdle, 50);
      const late = setTimeout(closeAll, graceMs);
      await Promise.all(closed);
      clearInterval(again);
      clearTimeout(late);
    },
  };
}

const stopAccepting = NetServer.prototype.close;

/** How long the first bytes on a new connection may take once the server stops. */
const firstBytesMs = 500;

const quietTurnMs = 0.05;
const quietTurnWithinMs = 1_000;

/**
 * Waits until the event loop has looked for new connections less than 0.05 ms ago, and found none. Closing
 * a listener resets the connections that the system has set up and the process has not accepted yet, and
 * requests are on their way on them. A busy loop takes milliseconds for a turn, and libuv accepts one in each.
 *
 * @param accepted how many there have been.
 */
async function quietTurn(accepted: () => number): Promise<void> {
  const began = performance.now();
  for (;;) {
    // A process that has just waited is not soon interrupted by another one.
    await sleep(1);
    await nextTurn();
    const [before, count] = [performance.now(), accepted()];
    await nextTurn();
    const now = performance.now();
    const quiet = now - before < quietTurnMs && accepted() === count;
    if (quiet || now - began > quietTurnWithinMs) return;
  }
}

/**
 * The requests whose bodies are coming in, and the end of their time. Node knows one time for all
 * requests of a server, which has to be that of the longest; this is for the others. A request without
 * a body costs two looks at its headers. There is one for each connection at most: the last.
 */
function createIncoming(timeoutMs: number, checkEveryMs: number) {
  const arriving = new Map<Socket, { readonly request: IncomingMessage; readonly since: number }>();
  const check = (): void => {
    const late = performance.now() - timeoutMs;
    for (const [socket, { request, since }] of arriving) {
      if (request.complete || request.destroyed) arriving.delete(socket);
      else if (since < late) {
        arriving.delete(socket);
        const error = Object.assign(new Error("a request came in too slowly"), {
          code: "ERR_HTTP_REQUEST_TIMEOUT",
        });
        answerConnectionError(error, socket);
      }
    }
  };
  const timer = setInterval(check, checkEveryMs);
  timer.unref();
  return {
    add(request: IncomingMessage): void {
      const { headers, socket } = request;
      if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) {
        return;
      }
      arriving.set(socket, { request, since: performance.now() });
    },
    delete: ({ socket }: IncomingMessage): void => void arriving.delete(socket),
    close: () => clearInterval(timer),
  };
}
