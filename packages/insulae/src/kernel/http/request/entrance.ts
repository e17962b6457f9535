/** What every request begins with, whichever route it is for. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { createClientOf } from "../../lib/client-address.ts";
import type { CountRequest, HttpMetrics } from "../../telemetry/http-metrics.ts";
import type { Logger } from "../../telemetry/log.ts";
import { type LogRequest, requestLine } from "../../telemetry/request-line.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import { keepWhenDone } from "./access-log.ts";
import { requestProblem } from "./request-guard.ts";
import { type RequestState, setState } from "./request-state.ts";
import type { SecurityHeaders } from "./security-headers.ts";

export interface EntranceOptions {
  readonly headers: SecurityHeaders;
  readonly log: Logger;
  readonly metrics: HttpMetrics;
  readonly tracing: Tracing | undefined;
}

export interface Entrance {
  /**
   * What gives a request its state, the answer its headers, and refuses what no route should see. Each
   * route's own hook calls it: one hook is cheaper than two.
   *
   * @param path the route's pattern; undefined where there is none.
   */
  readonly enterAt: EnterAt;
  /** The same for what the router refuses, before there is a route. */
  readonly stray: (request: FastifyRequest, reply: FastifyReply) => void;
}

export type EnterAt = (path: string | undefined) => Enter;

/** @throws AppError if the request is refused. */
type Enter = (request: FastifyRequest, reply: FastifyReply) => RequestState;

export function createEntrance({ headers, log, metrics, tracing }: EntranceOptions): Entrance {
  const entries = Object.entries(headers);
  const clientOf = createClientOf();

  const begin = (
    request: FastifyRequest,
    reply: FastifyReply,
    path: string | undefined,
    count: CountRequest,
    logEnd: LogRequest,
  ): RequestState => {
    const startedAt = performance.now();
    const client = clientOf(request);
    const span = tracing?.request({
      method: request.method,
      route: path,
      headers: request.headers,
      requestId: request.id,
      scheme: request.protocol,
    });
    const state: RequestState = {
      startedAt,
      path,
      client,
      span,
      resolved: undefined,
      log: undefined,
      audited: false,
      refusedByHook: false,
      errorShape: undefined,
    };
    setState(request, state);
    for (const [name, value] of entries) reply.header(name, value);
    reply.header("x-request-id", request.id);
    keepWhenDone(request, reply, state, count, logEnd);
    return state;
  };
  const countStray = metrics.of(undefined);
  const logStray = requestLine(log, undefined);
  return {
    enterAt(path) {
      const count = path === undefined ? countStray : metrics.of(path);
      const logEnd = path === undefined ? logStray : requestLine(log, path);
      return (request, reply) => {
        const state = begin(request, reply, path, count, logEnd);
        const problem = requestProblem(request.raw);
        if (problem) throw problem;
        return state;
      };
    },
    stray(request, reply) {
      begin(request, reply, undefined, countStray, logStray);
    },
  };
}
