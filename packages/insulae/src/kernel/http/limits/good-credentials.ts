import type { TLSSocket } from "node:tls";
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

/** Remembers credentials that somebody was let in with. */
export function createGoodCredentials(): GoodCredentials {
  const known = new LRUCache<string, string>({
    max: 20_000,
    maxSize: 16 * 1024 * 1024,
    sizeCalculation: (text) => text.length + nameLength,
  });
  const textOf = ({ headers }: FastifyRequest): string | undefined =>
    headers.authorization ?? headers.cookie;
  // A certificate was verified when the connection was made.
  const isCertified = ({ socket }: FastifyRequest): boolean =>
    "authorized" in socket && (socket as TLSSocket).authorized;
  const has = (request: FastifyRequest): boolean => {
    const text = textOf(request);
    return text === undefined ? isCertified(request) : known.get(text.slice(-nameLength)) === text;
  };
  return {
    has,
    shown: (request) => textOf(request) !== undefined || isCertified(request),
    add(request) {
      const text = textOf(request);
      if (text !== undefined && !has(request)) known.set(text.slice(-nameLength), text);
    },
  };
}
