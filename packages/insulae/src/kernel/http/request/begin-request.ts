/**
 * The first step of every request: creates its state, sets the response headers, and observes its
 * end.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { createClientOf } from "../../lib/client-address.ts";
import type { HttpMetrics } from "../../telemetry/http-metrics.ts";
import type { Logger } from "../../telemetry/log.ts";
import { requestLine } from "../../telemetry/request-line.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import { RequestState, setState } from "../state/request-state.ts";
import { recordRequest } from "./access-log.ts";
import type { SecurityHeaders } from "./security-headers.ts";

export interface BeginRequestOptions {
  readonly headers: SecurityHeaders;
  readonly log: Logger;
  readonly metrics: HttpMetrics;
  readonly tracing: Tracing | undefined;
}

/** @param path the route's pattern; undefined without a route */
export type BeginAt = (path: string | undefined) => BeginRequest;

/** Creates the state and sets the headers. */
export type BeginRequest = (request: FastifyRequest, reply: FastifyReply) => RequestState;

export function createBeginRequest(options: BeginRequestOptions): BeginAt {
  const { headers, log, metrics, tracing } = options;
  const entries = Object.entries(headers);
  const clientOf = createClientOf();

  return (path) => {
    const count = metrics.of(path);
    const logRequest = requestLine(log, path);
    return (request, reply) => {
      const state = new RequestState({
        request,
        reply,
        path,
        client: clientOf(request),
        span: tracing?.request({
          method: request.method,
          route: path,
          headers: request.headers,
          requestId: request.id,
          scheme: request.protocol,
        }),
      });
      setState(request, state);
      for (const [name, value] of entries) reply.header(name, value);
      reply.header("x-request-id", request.id);
      // The event comes once; `once` would allocate two more objects per request.
      reply.raw.on("close", () => {
        recordRequest(state, count, logRequest);
        state.close();
      });
      return state;
    };
  };
}
