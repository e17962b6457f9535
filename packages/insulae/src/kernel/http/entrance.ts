/** What every request begins with, whichever route it is for. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../telemetry/log.ts";
import { logWhenDone } from "./access-log.ts";
import { createClientOf } from "./client-address.ts";
import { shuttingDown } from "./errors.ts";
import { requestProblem } from "./request-guard.ts";
import { type RequestState, setState } from "./request-state.ts";
import type { SecurityHeaders } from "./security-headers.ts";

export interface EntranceOptions {
  readonly headers: SecurityHeaders;
  readonly log: Logger;
  readonly isClosing: () => boolean;
}

export interface Entrance {
  /**
   * Gives the request its state, the answer its headers, and refuses what no route should see. Each
   * route's own hook calls it: one hook is cheaper than two.
   *
   * @param path the route's pattern. @throws AppError if the request is refused.
   */
  readonly enter: Enter;
  /** The headers that every answer has, errors before `enter` included. */
  readonly setHeaders: (request: FastifyRequest, reply: FastifyReply) => void;
}

export type Enter = (
  request: FastifyRequest,
  reply: FastifyReply,
  path: string | undefined,
) => RequestState;

export function createEntrance({ headers, log, isClosing }: EntranceOptions): Entrance {
  const entries = Object.entries(headers);
  const clientOf = createClientOf();

  const setHeaders = (request: FastifyRequest, reply: FastifyReply): void => {
    for (const [name, value] of entries) reply.header(name, value);
    reply.header("x-request-id", request.id);
  };
  const enter: Enter = (request, reply, path) => {
    // A line for each request costs about as much as a third of the rest of it.
    const accessLog = log.isLevelEnabled("info");
    const startedAt = accessLog ? performance.now() : 0;
    const client = clientOf(request);
    const state = { startedAt, path, client, resolved: undefined, log: undefined, audited: false };
    setState(request, state);
    setHeaders(request, reply);
    if (accessLog) logWhenDone(request, reply, log);
    if (isClosing()) throw shuttingDown({ headers: { "retry-after": "1" } });
    const problem = requestProblem(request.raw);
    if (problem) throw problem;
    return state;
  };
  return { enter, setHeaders };
}
