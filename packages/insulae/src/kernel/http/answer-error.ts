import type { FastifyReply, FastifyRequest } from "fastify";
import type { ErrorShape } from "../feature.ts";
import type { Logger } from "../telemetry/log.ts";
import { type ConstraintErrors, isDatabaseError, isRefusedValue } from "./database-errors.ts";
import type { Entrance } from "./entrance.ts";
import { problemOf, problemType, visibleError } from "./problem.ts";
import { findState, requestLog } from "./request-state.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    errorShape?: ErrorShape;
  }
}

export interface AnswerErrorOptions {
  readonly constraints: ConstraintErrors;
  readonly stray: Entrance["stray"];
  readonly log: Logger;
}

/** Fastify's error handler: the one place where errors become answers. */
export function createAnswerError({ constraints, stray, log }: AnswerErrorOptions) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    // Errors of the router come before any route.
    if (!findState(request)) stray(request, reply);
    const visible = visibleError(error, constraints);
    if (visible.status >= 500 && !isAbort(error, request)) {
      const message = isDatabaseError(error) ? "Database error" : visible.title;
      requestLog(request, log).error({ err: error }, message);
    } else if (isRefusedValue(error)) {
      requestLog(request, log).warn({ err: error }, "PostgreSQL refused a value");
    }
    const shape = request.routeOptions.config.errorShape;
    reply
      .code(shape?.statusOf?.(visible, request) ?? visible.status)
      .headers(visible.headers)
      .type(shape ? "application/json; charset=utf-8" : problemType)
      .send(
        JSON.stringify(shape ? shape.bodyOf(visible, request) : problemOf(visible, request.id)),
      );
  };
}

/** The client went away while it was still sending. */
function isAbort(error: unknown, request: FastifyRequest): boolean {
  return error instanceof Error && error === request.raw.errored;
}
