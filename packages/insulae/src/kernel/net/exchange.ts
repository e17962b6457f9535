/**
 * One HTTP request to a server that may do anything: stay silent, send interim answers or a body for
 * ever, switch protocols, close early. The exchange ends by a deadline of ours, and so do its memory
 * and its work.
 *
 * By `node:http` and not by a library: those that there are measure each phase, or silence, so that
 * the deadline for the whole would still be ours; and no connection is used twice, so that there is
 * nothing to pool.
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
  /** Of the answer's body. */
  readonly maxBytes: number;
  /**
   * The status is the answer, and the body only for showing: what has come of it when it is too
   * large, broken off or late is enough.
   */
  readonly statusDecides?: boolean | undefined;
  /** Aborts where nobody wants the answer any more. */
  readonly signal?: AbortSignal | undefined;
  readonly lookup?: LookupFunction | undefined;
}

/** The answer is not one to a request by HTTP. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export class AnswerTooLarge extends Error {
  override readonly name = "AnswerTooLarge";
}

/** RFC 9110 has four of them, and no server needs many. */
const mostInterimAnswers = 20;
/** How long the body of an answer may take of which only the status is needed. */
const shownBodyMs = 1_000;

/** @throws DeadlineExceeded, AnswerTooLarge, ProtocolError, and what the network throws */
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
    // No agent: a connection that is kept open may have been pinned for another request.
    agent: false,
    ...(lookup && { lookup }),
  })
    .on("response", (answer) => {
      const { statusCode: status = 0 } = answer;
      if (status >= 200 && status <= 599) return resolve(answer);
      request.destroy(new ProtocolError(`the status ${status} is none of HTTP's`));
    })
    .on("information", () => {
      interimAnswers += 1;
      if (interimAnswers <= mostInterimAnswers) return;
      request.destroy(new ProtocolError("the server sends interim answers without end"));
    })
    .on("upgrade", ({ statusCode }, socket) => {
      socket.destroy();
      reject(new ProtocolError(`the server answered ${statusCode}, and nobody asked for that`));
    })
    .on("error", (error) => reject(isOfParser(error) ? asProtocolError(error) : error))
    // Whatever it was: with the connection gone nothing else comes.
    .on("close", () => reject(new Error("the connection was closed without an answer")));
  request.end(body);
  return promise;
}

/** `HPE_…`: Node's parser could not read the answer. */
const isOfParser = (error: Error): boolean => "code" in error && /^HPE_/.test(String(error.code));

const asProtocolError = (cause: Error) =>
  new ProtocolError(`the answer can't be read: ${cause.message}`, { cause });

/**
 * Reads a body into `chunks`; what is too much destroys the stream, and the connection with it.
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
    if (room < 0) throw new AnswerTooLarge(`the answer has more than ${maxBytes} bytes`);
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
