/**
 * What is kept of a request that has ended: its figures, and, where the log wants them, one line: which
 * route, for whom, how it ended. Never the query, which may hold what people search for, and never
 * headers.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CountRequest } from "../../telemetry/http-metrics.ts";
import type { LogRequest } from "../../telemetry/request-line.ts";
import { type RequestState, standIn } from "./request-state.ts";

/** Counts the request, and writes the line, when the answer has left or the client has gone. */
export function keepWhenDone(
  request: FastifyRequest,
  reply: FastifyReply,
  state: RequestState,
  count: CountRequest,
  log: LogRequest,
): void {
  const { raw } = reply;
  raw.on("close", () => {
    const { startedAt, resolved, span } = state;
    const endedAt = performance.now();
    // `inject()` has a socket that never closes, and does not wait for it.
    const aborted = !raw.writableEnded || (!raw.writableFinished && raw.socket?.destroyed === true);
    count({
      method: request.method,
      status: raw.statusCode,
      aborted,
      startedAt,
      endedAt,
      tenant: resolved?.tenant,
    });
    span?.end(
      {
        "http.response.status_code": raw.statusCode,
        "insulae.tenant.id": resolved?.tenant?.id,
        "user.id": resolved?.user?.id,
        ...(aborted && { "insulae.aborted": true }),
      },
      raw.statusCode >= 500 ? `${raw.statusCode}` : undefined,
    );
    log({
      request_id: request.id,
      tenant_id: resolved?.tenant?.id,
      user_id: resolved?.user?.id,
      standIn: standIn(resolved?.credential),
      trace_id: span?.traceId,
      method: request.method,
      status: raw.statusCode,
      duration_ms: Math.round((endedAt - startedAt) * 100) / 100,
      aborted,
    });
  });
}
