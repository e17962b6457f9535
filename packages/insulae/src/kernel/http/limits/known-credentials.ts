import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { FastifyRequest } from "fastify";
import { LRUCache } from "lru-cache";
import type { Principal } from "../../identity/principal.ts";
import type { Payer } from "../state/request-state.ts";

const payerOf = (user: Principal): Payer =>
  user.kind === "core" ? { accountId: user.id } : { tenantId: user.tenantId };

export interface KnownCredentials {
  /** Whether the request presents any credentials, valid or not. */
  isPresented(request: FastifyRequest): boolean;
  /** Whom they were charged to when last valid. They may have ended since. */
  payer(request: FastifyRequest): Payer | undefined;
  /** @param before what `payer` returned for the request, if it was called */
  add(request: FastifyRequest, user: Principal, before?: Payer): void;
  /** Call when they have become invalid. */
  forget(request: FastifyRequest): void;
}

interface Known {
  readonly text: string;
  readonly payer: Payer;
}

/** Cache key: the last 64 characters (a JWT's signature). Hashing the whole would cost more. */
const nameLength = 64;
const nameOf = (text: string): string => text.slice(-nameLength);

/** Remembers valid credentials and their payers; certificates, by their connection. */
export function createKnownCredentials(): KnownCredentials {
  const known = new LRUCache<string, Known>({
    max: 20_000,
    maxSize: 16 * 1024 * 1024,
    sizeCalculation: ({ text }) => text.length + nameLength,
  });
  const connections = new WeakMap<Socket, Payer>();

  const payerBy = (request: FastifyRequest, text: string | undefined): Payer | undefined => {
    if (text === undefined) return connections.get(request.socket);
    const found = known.get(nameOf(text));
    return found?.text === text ? found.payer : undefined;
  };
  return {
    payer: (request) => payerBy(request, textOf(request)),
    isPresented: (request) => textOf(request) !== undefined || isCertified(request.socket),
    add(request, user, before) {
      if (before && isPaidBy(before, user)) return;
      const text = textOf(request);
      const payer = payerOf(user);
      if (text === undefined) connections.set(request.socket, payer);
      else known.set(nameOf(text), { text, payer });
    },
    forget(request) {
      const text = textOf(request);
      if (text === undefined) connections.delete(request.socket);
      else if (payerBy(request, text)) known.delete(nameOf(text));
    },
  };
}

const isPaidBy = ({ tenantId, accountId }: Payer, user: Principal): boolean =>
  user.kind === "core" ? accountId === user.id : tenantId === user.tenantId;

/** Reads the same headers as `ResolverInput`. */
function textOf({ headers }: FastifyRequest): string | undefined {
  const { authorization, cookie, "x-api-key": apiKey, "client-cert": certificate } = headers;
  return authorization ?? apiKey?.toString() ?? cookie ?? certificate?.toString();
}

const isCertified = (socket: Socket): boolean =>
  socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined;
