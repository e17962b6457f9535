import type { Readable } from "node:stream";
import type { AwsSettings } from "../../config/channels.ts";
import { withDeadline } from "../lib/deadline.ts";
import { readBody } from "../net/exchange.ts";
import { Undeliverable } from "./message.ts";

/** What each client of Amazon's services gets. Trying again is the sender's business. */
export const clientOptions = (
  { endpoint, credentials }: AwsSettings,
  region: string | undefined,
) => ({
  ...(region !== undefined && { region }),
  ...(endpoint !== undefined && { endpoint }),
  ...(credentials && { credentials }),
  maxAttempts: 1,
});

const requestMs = 30_000;
const maxAnswerBytes = 1_000_000;

/** What the types of the SDK say of a command, as far as it matters here. */
interface Command {
  readonly middlewareStack: { add(middleware: never, options: never): void };
}

type Send = (
  request: never,
) => Promise<{ readonly response: { statusCode: number; body: unknown } }>;

/**
 * Sends a command, to an answer within a deadline: the SDK's own `requestTimeout` only warns, and
 * counts no body. An answer that breaks off is none, even if its status says that all went well.
 *
 * @param send calls the client's own `send`, with the options.
 * @param onStatus is told the status as soon as it is there.
 */
export async function sendCommand<C extends Command, Result>(
  command: C,
  send: (command: C, options: { abortSignal: AbortSignal }) => Promise<Result>,
  timeoutMs = requestMs,
  onStatus?: (status: number) => void,
): Promise<Result> {
  const bounded = (next: Send) => async (request: never) => {
    const result = await next(request);
    const { response } = result;
    onStatus?.(response.statusCode);
    const chunks: Buffer[] = [];
    // What Node's http gave: a stream.
    await readBody(response.body as Readable, chunks, maxAnswerBytes);
    response.body = Buffer.concat(chunks);
    return result;
  };
  // Between the connection and whatever reads the answer. Its types want each command's own.
  const place = { step: "deserialize", priority: "low", name: "bounded" };
  command.middlewareStack.add(bounded as never, place as never);
  return withDeadline(timeoutMs, (abortSignal) => send(command, { abortSignal }));
}

/**
 * As `sendCommand`, for a message: with a status of 2xx it is Amazon's, whatever becomes of the rest of
 * the answer; sent again, the recipient would have it twice.
 *
 * @returns undefined if the answer broke off after that.
 */
export async function handOver<C extends Command, Result>(
  command: C,
  send: (command: C, options: { abortSignal: AbortSignal }) => Promise<Result>,
  timeoutMs?: number,
): Promise<Result | undefined> {
  let taken = false;
  try {
    return await sendCommand(command, send, timeoutMs, (status) => {
      taken = status >= 200 && status < 300;
    });
  } catch (error) {
    if (taken) return undefined;
    throw error;
  }
}

/** What Amazon will refuse again, however often it is asked. */
const finalErrors = new Set([
  "MessageRejected",
  "BadRequestException",
  "InvalidParameter",
  "InvalidParameterException",
  "InvalidParameterValueException",
  "OptedOutException",
  "OptedOut",
  "EndpointDisabled",
  "EndpointDisabledException",
]);

/**
 * A device whose endpoint was switched off, because it is gone, is found as one with other attributes.
 * An identity that is not verified yet is for somebody to put right, and says so in a rejection.
 */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof Error) || !finalErrors.has(error.name)) return error;
  if (/not verified/i.test(error.message)) return error;
  return new Undeliverable(`${error.name}: ${error.message}`, {
    cause: error,
    noSuchRecipient:
      /^OptedOut|^EndpointDisabled/.test(error.name) ||
      /opted out|different attributes/i.test(error.message),
  });
}
