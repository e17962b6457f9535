/**
 * Errors of a connection that never became a request: malformed HTTP, headers that are too large or
 * too slow. Node provides only the socket; the response looks like all others.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { AppError } from "../../lib/errors.ts";
import {
  badRequest,
  expectationFailed,
  headersTooLarge,
  requestTimeout,
} from "../../lib/http-errors.ts";
import { problemOf, problemType } from "../reply/problem.ts";

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function errorOf(code: string | undefined): AppError | undefined {
  if (code === "HPE_HEADER_OVERFLOW") return headersTooLarge();
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return requestTimeout();
  // Other parser errors are `HPE_…`. For the rest (ECONNRESET, EPIPE) there is nobody to answer.
  return code?.startsWith("HPE_") ? badRequest() : undefined;
}

/** Answers and closes the connection: what follows can't be told from an attack. */
export function answerConnectionError(error: NodeJS.ErrnoException, socket: Socket): void {
  const problem = errorOf(error.code);
  if (!problem || !socket.writable || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(problemOf(problem, randomUUID()));
  socket.end(
    `HTTP/1.1 ${problem.status} ${reasons[problem.status] ?? "Error"}\r\n` +
      `content-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  );
  // Don't keep the socket for a client that doesn't read.
  socket.setTimeout(1_000, () => socket.destroy());
}

/**
 * Whether the response to an earlier request is being written: another one in between would be
 * taken for it. Node's own handler of this event checks the same field.
 */
function isAnswering(socket: Socket): boolean {
  return (
    "_httpMessage" in socket && socket._httpMessage !== null && socket._httpMessage !== undefined
  );
}

/** Refuses an `Expect` other than `100-continue`; Node would answer an empty 417. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  answerProblem(response, expectationFailed());
}

/** Answers a request that is not processed further, and closes its connection. */
export function answerProblem(response: ServerResponse, error: AppError): void {
  const body = JSON.stringify(problemOf(error, randomUUID()));
  response.writeHead(error.status, {
    "content-type": problemType,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close",
  });
  response.end(body);
}
