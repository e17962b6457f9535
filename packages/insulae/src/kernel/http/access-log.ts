/**
 * One line for each request: which route, for whom, how it ended. Never the query, which may hold
 * what people search for, and never headers.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../telemetry/log.ts";
import { findState, standIn } from "./request-state.ts";

/** Writes the line when the answer has left, or the client has gone. */
export function logWhenDone(request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  reply.raw.on("close", () => {
    const state = findState(request);
    log.info(
      {
        request_id: request.id,
        tenant_id: state?.resolved?.tenant?.id,
        user_id: state?.resolved?.user?.id,
        ...standIn(state?.resolved?.credential),
        method: request.method,
        route: state?.path,
        status: reply.statusCode,
        duration_ms: state
          ? Math.round((performance.now() - state.startedAt) * 100) / 100
          : undefined,
        ...(reply.raw.writableFinished ? {} : { aborted: true }),
      },
      "request",
    );
  });
}
