/**
 * WebSockets that are open. This server speaks over them and does not listen: what comes in is
 * counted, bounded and thrown away.
 *
 * Whoever was let in has to remain so. Once a second each socket's request is resolved anew, as if it
 * came in now, and its route's handler is asked again. All that they ask is in the caches, which
 * announcements keep true (a log-out, a demotion, a suspension), so that costs microseconds, and a
 * socket is closed within a second or two. Where nobody can tell (the database is away), it is closed
 * after ten. Sockets take turns, a few at a time: a thousand at once would hold up the requests.
 *
 *     open ── the peer is silent for two heartbeats, sends too much, or breaks the protocol ──► closed
 *       │                                                                                        ▲
 *       └── resolving, or the handler, refuses; the server stops ────────────────────────────────┘
 */

import type { IncomingMessage } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { AppError, defineError } from "../../lib/errors.ts";
import type { OutgoingSocket } from "../../lib/outgoing-socket.ts";
import { textFrame } from "../../lib/text-frame.ts";
import type { Logger } from "../../telemetry/log.ts";
import {
  createSocketShares,
  type SocketOwner,
  type SocketPeers,
  tooManySockets,
} from "./socket-shares.ts";
import type { Handshake } from "./upgrades.ts";

export const upgradeRequired = defineError(
  "upgrade_required",
  426,
  "This address is a WebSocket. Open it with a WebSocket handshake.",
);

/** What the handler of a socket's route gives: what to do with the socket. */
export type Talk = (socket: OutgoingSocket) => void;

export interface SocketOptions {
  readonly owner: SocketOwner;
  readonly request: Handshake & { readonly raw: IncomingMessage };
  readonly talk: Talk;
  /** Throws, or rejects, if it would be refused now. */
  readonly check: () => unknown;
  readonly log: Logger;
}

export interface Sockets {
  /** @throws tooManySockets */
  admit(owner: SocketOwner): void;
  /** Finishes the handshake, and has the handler talk. */
  open(options: SocketOptions): void;
  /** How many are open. */
  count(): number;
  /** Closes all, and opens none from now on. */
  close(): void;
}

export interface SocketTimes {
  readonly checkMs: number;
  readonly heartbeatMs: number;
  /** For how long a socket stays open while it can't be checked. */
  readonly uncheckedMs: number;
}

/** In how many turns all sockets are checked once. */
const turns = 50;

const usualTimes: SocketTimes = { checkMs: 1_000, heartbeatMs: 15_000, uncheckedMs: 10_000 };

/** Between two heartbeats, pings, frames and all. */
const maxBytesIn = 16_384;

/** Close codes of RFC 6455, section 7.4.1. */
const goingAway = 1001;
const policy = 1008;
const unexpected = 1011;

interface Open {
  readonly check: () => unknown;
  readonly end: (code: number, reason: string) => void;
  /** Sends a ping; ends the socket whose peer did not answer the one before. */
  readonly beat: () => void;
  checkAt: number;
  beatAt: number;
  checking: boolean;
  /** Since when it has been asked without an answer. */
  unansweredSince: number | undefined;
}

export function createSockets(times: SocketTimes = usualTimes, peers?: SocketPeers): Sockets {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: 1_024,
    maxFragments: 16,
    // Without this, whatever the client proposes would be agreed to.
    handleProtocols: () => false,
  });
  /** Who has to be checked next comes first. */
  const sockets = new Set<Open>();
  const shares = createSocketShares(peers);
  let closed = false;

  const admit = (owner: SocketOwner): void => {
    const refusal = closed ? tooManySockets() : shares.refusal(owner);
    if (refusal) throw refusal;
  };

  const checkOne = async (socket: Open): Promise<void> => {
    if (socket.checking) return;
    socket.checking = true;
    socket.unansweredSince ??= performance.now();
    try {
      await socket.check();
      socket.unansweredSince = undefined;
    } catch (error) {
      const refused = error instanceof AppError && error.status < 500;
      if (refused) socket.end(policy, error.code);
    } finally {
      socket.checking = false;
    }
  };
  /** Looks at the next few whose time has come. */
  const takeTurn = (): void => {
    const now = performance.now();
    let few = Math.ceil(sockets.size / turns);
    for (const socket of sockets) {
      if (few === 0 || now < socket.checkAt) break;
      few -= 1;
      socket.checkAt = now + times.checkMs;
      // To the end of the line.
      sockets.delete(socket);
      sockets.add(socket);
      if (now - (socket.unansweredSince ?? now) > times.uncheckedMs) {
        socket.end(unexpected, "unchecked");
        continue;
      }
      if (now >= socket.beatAt) {
        socket.beatAt = now + times.heartbeatMs;
        socket.beat();
      }
      void checkOne(socket);
    }
  };
  /** Runs while a socket is open. */
  let timer: NodeJS.Timeout | undefined;

  const begin = (peer: WebSocket, { owner, request, talk, check, log }: SocketOptions): void => {
    const left: (() => void)[] = [];
    let answered = true;
    let bytesIn = 0;

    const leave = (why: string | number): void => {
      if (!sockets.delete(socket)) return;
      giveBack();
      if (sockets.size === 0) {
        clearInterval(timer);
        timer = undefined;
      }
      for (const fn of left) fn();
      log.info({ why }, "WebSocket closed");
    };
    const end = (code: number, reason: string): void => {
      if (!sockets.has(socket)) return;
      leave(reason);
      peer.close(code, reason);
      // Whoever does not answer the closing does not keep the connection.
      setTimeout(() => peer.terminate(), 1_000).unref();
    };
    const giveBack = shares.add(owner);
    const socket: Open = {
      check,
      end,
      beat() {
        bytesIn = 0;
        if (answered) {
          answered = false;
          peer.ping();
        } else {
          leave("silent");
          peer.terminate();
        }
      },
      checkAt: performance.now() + times.checkMs,
      beatAt: performance.now() + times.heartbeatMs,
      checking: false,
      unansweredSince: undefined,
    };
    sockets.add(socket);
    timer ??= setInterval(takeTurn, times.checkMs / turns).unref();
    peer.on("pong", () => {
      answered = true;
    });
    request.socket.on("data", (chunk: Buffer) => {
      bytesIn += chunk.length;
      if (bytesIn > maxBytesIn) end(policy, "too_much");
    });
    // It closes the connection itself, with the code that the protocol has for it.
    peer.on("error", (error) => leave(error.message));
    peer.on("close", leave);
    log.info("WebSocket opened");
    const sendFrames: OutgoingSocket["sendFrames"] = (frames, sent) => {
      if (peer.readyState === peer.OPEN) request.socket.write(frames, () => sent());
      else sent();
    };
    talk({
      send: (text, sent = () => {}) => sendFrames(textFrame(text), sent),
      sendFrames,
      onLeft: (fn) => left.push(fn),
    });
  };

  return {
    admit,
    count: () => sockets.size,
    open(options) {
      const { raw, socket, head } = options.request;
      server.handleUpgrade(raw, socket, head, (peer) => {
        begin(peer, options);
        if (closed) for (const open of sockets) open.end(goingAway, "going_away");
      });
    },
    close() {
      closed = true;
      for (const open of sockets) open.end(goingAway, "going_away");
    },
  };
}
