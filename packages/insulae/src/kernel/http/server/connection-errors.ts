/**
 * Errors of a connection that never became a request: broken HTTP, headers that are too large or too
 * slow. Node gives the bare socket; the answer has the same shape as all others.
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
  // Everything else of the parser is `HPE_…`; the rest (ECONNRESET, EPIPE) has nobody to tell.
  return code?.startsWith("HPE_") ? badRequest() : undefined;
}

/** Answers, and closes the connection: what follows on it cannot be told from an attack. */
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
  // Whoever does not take the answer does not keep the socket either.
  socket.setTimeout(1_000, () => socket.destroy());
}

/**
 * An answer to an earlier request on this socket is on its way: another one in between would be
 * taken for it. Node's own handler of this event looks at the same field.
 */
function isAnswering(socket: Socket): boolean {
  return (
    "_httpMessage" in socket && socket._httpMessage !== null && socket._httpMessage !== undefined
  );
}

/** An `Expect` other than `100-continue`, which Node would answer with an empty 417. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  answerProblem(response, expectationFailed());
}

/** Answers a request that goes no further, and closes its connection. */
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
