/**
 * When a response closes: records its metrics, ends its span and, at level info, writes one
 * access-log line with the route, the caller and the outcome. Never the query, which can contain
 * what people search for, and never headers.
 */
import type { CountRequest } from "../../telemetry/http-metrics.ts";
import type { LogRequest } from "../../telemetry/request-line.ts";
import { type RequestState, standIn } from "../state/request-state.ts";

export function recordRequest(state: RequestState, count: CountRequest, log: LogRequest): void {
  const { startedAt, request, caller, span } = state;
  const { raw } = state.reply;
  const endedAt = performance.now();
  // `inject()` has a socket that never closes, and does not wait for it.
  const aborted = !raw.writableEnded || (!raw.writableFinished && raw.socket?.destroyed === true);
  count({
    method: request.method,
    status: raw.statusCode,
    aborted,
    startedAt,
    endedAt,
    tenant: caller?.tenant,
  });
  span?.end(
    {
      "http.response.status_code": raw.statusCode,
      "insulae.tenant.id": caller?.tenant?.id,
      "user.id": caller?.user?.id,
      ...(aborted && { "insulae.aborted": true }),
    },
    raw.statusCode >= 500 ? `${raw.statusCode}` : undefined,
  );
  log({
    request_id: request.id,
    tenant_id: caller?.tenant?.id,
    user_id: caller?.user?.id,
    standIn: standIn(caller?.credential),
    trace_id: span?.traceId,
    method: request.method,
    status: raw.statusCode,
    duration_ms: Math.round((endedAt - startedAt) * 100) / 100,
    aborted,
  });
}
