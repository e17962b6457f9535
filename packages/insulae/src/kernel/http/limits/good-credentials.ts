import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { FastifyRequest } from "fastify";
import { LRUCache } from "lru-cache";

export interface GoodCredentials {
  /** Whether the request shows credentials, of whatever kind and value. */
  shown(request: FastifyRequest): boolean;
  /** Whether those that it shows were good before. They may have ended since. */
  has(request: FastifyRequest): boolean;
  add(request: FastifyRequest): void;
}

/** The end of a credential names it (a token ends in its signature); hashing all of it costs more. */
const nameLength = 64;

/** Remembers credentials that somebody was let in with; a certificate, by its connection. */
export function createGoodCredentials(): GoodCredentials {
  const known = new LRUCache<string, string>({
    max: 20_000,
    maxSize: 16 * 1024 * 1024,
    sizeCalculation: (text) => text.length + nameLength,
  });
  const connections = new WeakSet<Socket>();

  const has = (request: FastifyRequest): boolean => {
    const text = textOf(request);
    return text === undefined
      ? connections.has(request.socket)
      : known.get(text.slice(-nameLength)) === text;
  };
  return {
    has,
    shown: (request) => textOf(request) !== undefined || isCertified(request.socket),
    add(request) {
      const text = textOf(request);
      if (text === undefined) connections.add(request.socket);
      else if (!has(request)) known.set(text.slice(-nameLength), text);
    },
  };
}

/** Wherever `requestFacts` finds a credential. */
function textOf({ headers }: FastifyRequest): string | undefined {
  const { authorization, cookie, "x-api-key": apiKey, "client-cert": certificate } = headers;
  return authorization ?? apiKey?.toString() ?? cookie ?? certificate?.toString();
}

const isCertified = (socket: Socket): boolean =>
  socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined;
