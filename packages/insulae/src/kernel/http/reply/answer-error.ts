import type { FastifyReply, FastifyRequest } from "fastify";
import type { ErrorShape } from "../../feature/feature.ts";
import type { CallSite } from "../../lib/call-site.ts";
import { type AppError, asError } from "../../lib/errors.ts";
import { internalError } from "../../lib/http-errors.ts";
import type { Logger } from "../../telemetry/log.ts";
import { findState, requestLog } from "../state/request-state.ts";
import type { CheckJson } from "./answer-check.ts";
import { type ConstraintErrors, isDatabaseError, isRefusedValue } from "./database-errors.ts";
import {
  type ErrorContext,
  errorContextOf,
  problemOf,
  problemType,
  visibleError,
} from "./problem.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    errorShape?: ErrorShape | undefined;
    /** Absent in production. */
    checkError?: CheckJson | undefined;
    declaredAt?: CallSite | undefined;
  }
}

export interface AnswerErrorOptions {
  readonly constraints: ConstraintErrors;
  /** Begins a request that the router refused before matching a route. */
  readonly beginUnrouted: (request: FastifyRequest, reply: FastifyReply) => void;
  /** Lets pages of other origins read the error. */
  readonly admitError: (request: FastifyRequest, reply: FastifyReply) => void;
  /** Whether problems include the cause; not in production. */
  readonly debug: boolean;
  readonly log: Logger;
}

/** Fastify's error handler: the one place that turns errors into responses. */
export function createAnswerError({
  constraints,
  beginUnrouted,
  admitError,
  debug,
  log,
}: AnswerErrorOptions) {
  const render = (visible: AppError, error: unknown, request: FastifyRequest) =>
    rendered(
      visible,
      request,
      debug && visible.status === 500 ? contextOf(error, request) : undefined,
    );

  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    // The router's errors come before any route's hooks.
    if (!findState(request)) beginUnrouted(request, reply);
    admitError(request, reply);
    let thrown = error;
    let visible = visibleError(error, constraints);
    let answer = render(visible, error, request);
    const mismatch = findMismatch(answer, request);
    if (mismatch) {
      thrown = visible = internalError({ detail: mismatch.message, cause: error });
      answer = render(visible, thrown, request);
    }
    if (visible.status >= 500 && !isAbort(error, request, reply)) {
      const line = requestLog(request, log);
      if (visible.status === 503) {
        // Expected and frequent during an outage: log the reason without a stack trace.
        line.warn({ code: visible.code, reason: reasonOf(error) }, visible.title);
      } else {
        const { route, frame } = contextOf(thrown, request);
        line.error(
          { route, frame, err: thrown },
          isDatabaseError(error) ? "Database error" : visible.title,
        );
      }
    } else if (isRefusedValue(error)) {
      requestLog(request, log).warn({ err: error }, "PostgreSQL refused a value");
    }
    const { status, type, text } = answer;
    reply.code(status).headers(visible.headers).type(type).send(text);
  };
}

/** The message of the innermost cause. */
function reasonOf(error: unknown): string {
  let first = asError(error);
  for (let depth = 0; depth < 10 && first.cause instanceof Error; depth += 1) first = first.cause;
  return first.message;
}

/** The status, content type and body, in the route's error format. */
function rendered(error: AppError, request: FastifyRequest, debug: ErrorContext | undefined) {
  const shape = request.routeOptions.config.errorShape ?? findState(request)?.errorShape;
  if (!shape) {
    const text = JSON.stringify({ ...problemOf(error, request.id), ...(debug && { debug }) });
    return { status: error.status, type: problemType, text };
  }
  return {
    status: shape.statusOf?.(error, request) ?? error.status,
    type: "application/json; charset=utf-8",
    text: JSON.stringify(shape.bodyOf(error, request)),
  };
}

const contextOf = (error: unknown, request: FastifyRequest): ErrorContext =>
  errorContextOf(asError(error), {
    name: `${request.method} ${findState(request)?.path ?? request.routeOptions.url ?? "(no route)"}`,
    at: request.routeOptions.config.declaredAt,
  });

/** Outside production: how the error response violates the route's declaration, if it does. */
function findMismatch(
  { status, text }: ReturnType<typeof rendered>,
  request: FastifyRequest,
): Error | undefined {
  if (findState(request)?.refusedByHook) return undefined;
  try {
    request.routeOptions.config.checkError?.(status, text);
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

/** The client disconnected while sending, or before the first piece of a stream was sent. */
function isAbort(error: unknown, request: FastifyRequest, reply: FastifyReply): boolean {
  if (!(error instanceof Error)) return false;
  if (error === request.raw.errored) return true;
  // Node's error for a response that can't be written. If another stream broke, the response still
  // can be.
  return Reflect.get(error, "code") === "ERR_STREAM_PREMATURE_CLOSE" && reply.raw.destroyed;
}
