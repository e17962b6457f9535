/**
 * One HTTP request to a server that may misbehave in any way: stay silent, send interim responses
 * or a body forever, switch protocols, close early. Our own deadline ends the exchange and bounds
 * its memory and work.
 *
 * It uses `node:http` instead of a library: the existing ones measure single phases or silence, so
 * the overall deadline would still be ours, and there are no connections to pool, since none is
 * used twice.
 */
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { withDeadline } from "../lib/deadline.ts";

export interface ExchangeRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
  /** From the connection to the last byte. */
  readonly timeoutMs: number;
  /** The maximum size of the response's body. */
  readonly maxBytes: number;
  /**
   * Only the status matters; the body is for display. A body that is too large, interrupted or late
   * is cut off instead of failing the exchange.
   */
  readonly statusDecides?: boolean | undefined;
  /** Aborts the exchange. */
  readonly signal?: AbortSignal | undefined;
  readonly lookup?: LookupFunction | undefined;
}

/** The response is not valid HTTP. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export class AnswerTooLarge extends Error {
  override readonly name = "AnswerTooLarge";
}

/** RFC 9110 defines four, and no server needs many. */
const mostInterimAnswers = 20;
/** How long to read a body if only the status matters. */
const shownBodyMs = 1_000;

/** @throws DeadlineExceeded, AnswerTooLarge, ProtocolError, and network errors */
export async function exchange(url: URL, request: ExchangeRequest): Promise<Response> {
  const { timeoutMs, maxBytes, statusDecides = false, signal: outer } = request;
  const chunks: Buffer[] = [];
  let answer: IncomingMessage | undefined;
  try {
    await withDeadline(
      timeoutMs,
      async (signal) => {
        answer = await send(url, request, signal);
        const late = statusDecides && setTimeout(() => answer?.destroy(), shownBodyMs);
        await readBody(answer, chunks, maxBytes).finally(() => late && clearTimeout(late));
      },
      outer,
    );
  } catch (error) {
    if (!answer || !statusDecides) throw error;
    answer.destroy();
  }
  if (!answer) throw new Error("an exchange has an answer or throws");
  return asResponse(answer, chunks);
}

function send(
  url: URL,
  { method, headers, body, lookup }: ExchangeRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const ask = url.protocol === "https:" ? requestHttps : requestHttp;
  let interimAnswers = 0;
  const request = ask(url, {
    method,
    headers: { ...headers },
    signal,
    // No agent: a kept-alive connection may have been pinned for another request.
    agent: false,
    ...(lookup && { lookup }),
  })
    .on("response", (answer) => {
      const { statusCode: status = 0 } = answer;
      if (status >= 200 && status <= 599) return resolve(answer);
      request.destroy(new ProtocolError(`the status ${status} is not valid`));
    })
    .on("information", () => {
      interimAnswers += 1;
      if (interimAnswers <= mostInterimAnswers) return;
      request.destroy(new ProtocolError("the server sends too many interim responses"));
    })
    .on("upgrade", ({ statusCode }, socket) => {
      socket.destroy();
      reject(new ProtocolError(`the server answered ${statusCode} unasked`));
    })
    .on("error", (error) => reject(isOfParser(error) ? asProtocolError(error) : error))
    // Whatever happened: the connection is gone, so nothing more will arrive.
    .on("close", () => reject(new Error("the connection was closed without a response")));
  request.end(body);
  return promise;
}

/** `HPE_…`: Node's parser could not read the response. */
const isOfParser = (error: Error): boolean => "code" in error && /^HPE_/.test(String(error.code));

const asProtocolError = (cause: Error) =>
  new ProtocolError(`the response can't be parsed: ${cause.message}`, { cause });

/**
 * Reads a body into `chunks`. If it is too large, destroys the stream and with it the connection.
 *
 * @throws AnswerTooLarge
 */
export async function readBody(
  body: AsyncIterable<Buffer>,
  chunks: Buffer[],
  maxBytes: number,
): Promise<void> {
  let room = maxBytes;
  for await (const chunk of body) {
    chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
    if (room < 0) throw new AnswerTooLarge(`the response has more than ${maxBytes} bytes`);
  }
}

function asResponse({ statusCode = 502, headers }: IncomingMessage, chunks: Buffer[]): Response {
  const empty = statusCode === 204 || statusCode === 205 || statusCode === 304;
  return new Response(empty ? null : Buffer.concat(chunks), {
    status: statusCode,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    ),
  });
}
