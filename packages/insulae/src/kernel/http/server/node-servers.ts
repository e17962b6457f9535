/**
 * Node's servers beneath Fastify: one per listening address (`localhost` has two), and optionally
 * one for TLS, all configured alike and closed together so that no request is lost:
 *
 *   drain          responses say `Connection: close`; everything is served
 *   stopListening  new connections are refused
 *   finish         requests in flight complete, idle connections close; bounded in time
 *
 * Node's `server.close()` closes the connections idle at that moment. Those that become idle later,
 * and those on which nothing was ever sent (browsers open some in advance), would hold up the end
 * until their timeouts.
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
  /** The time limit for receiving a request. */
  readonly requestTimeoutMs: number;
  /** The time limit for requests passed to `allowSlowBody`. */
  readonly longTimeoutMs: number;
  /** The time limit for requests in flight after closing. */
  readonly graceMs: number;
  readonly upgrades: Upgrades;
}

export interface TlsOptions {
  /** Chooses the certificate by the requested host. */
  readonly sniCallback: SniCallback;
  /** The certificate for hosts that have none. */
  readonly certificate?: CertificatePair | undefined;
}

export interface NodeServers {
  readonly create: (handler: RequestListener) => Server;
  /** A TLS server. It requests client certificates, but serves clients without one. */
  readonly createTls: (handler: RequestListener, tls: TlsOptions) => TlsServer;
  /** Allows the request `longTimeoutMs` to arrive. */
  readonly allowSlowBody: (request: IncomingMessage) => void;
  /** The number of open connections. */
  readonly connections: () => number;
  /** From now on each response is the last on its connection, and says so. */
  readonly drain: () => void;
  /** Drains, and refuses new connections; accepted ones are still served. */
  readonly stopListening: () => Promise<void>;
  /** Closes connections as they become idle, and all of them after the grace period. */
  readonly finish: () => Promise<void>;
}

export function createNodeServers(options: NodeServersOptions): NodeServers {
  const { requestTimeoutMs, longTimeoutMs, graceMs, upgrades } = options;
  const servers: (Server | TlsServer)[] = [];
  /** The time at which each was opened. */
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
    // Includes those still in the TLS handshake.
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
  /** The only `request` listener: with two, Node copies the list for each request. */
  const listener =
    (handler: RequestListener): RequestListener =>
    (request, response) => {
      if (draining) response.setHeader("connection", "close");
      // Before the handler, which may extend the request's time.
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
          // A slow handshake is like slow headers.
          handshakeTimeout: headersTimeout,
          requestCert: true,
          // The certificate is looked up and checked for each request.
          rejectUnauthorized: false,
          sessionIdContext: "insulae",
          // The certificate of a connection must not change.
          secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
        },
        listener(handler),
      );
      // Encrypted bytes are no request; observe the decrypted connection instead.
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
      // Node's HTTP servers first look for idle connections, which takes longer than everything
      // else.
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

/** The time limit for the first bytes on a new connection once the server stops. */
const firstBytesMs = 500;

const quietTurnMs = 0.05;
const quietTurnWithinMs = 1_000;

/**
 * Waits until the event loop has polled for new connections less than 0.05 ms ago and found none.
 * Closing a listener resets connections that the system has set up but the process has not
 * accepted, and requests are on their way on them. A turn of a busy loop takes milliseconds, and
 * libuv accepts one connection in each.
 *
 * @param accepted the number of connections accepted so far
 */
async function quietTurn(accepted: () => number): Promise<void> {
  const began = performance.now();
  for (;;) {
    // A process that has just slept is unlikely to be preempted.
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
 * Enforces the time limit of requests whose bodies are being received. Node has one limit for all
 * requests of a server, which must be the longest; this enforces the shorter one. A request without
 * a body costs two header look-ups. At most one entry per connection: the last.
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
