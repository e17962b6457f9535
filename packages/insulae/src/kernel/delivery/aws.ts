import type { Readable } from "node:stream";
import type { AwsSettings } from "../../config/channels.ts";
import { withDeadline } from "../lib/deadline.ts";
import { readBody } from "../net/exchange.ts";
import { Undeliverable } from "./message.ts";

/** Common options of AWS clients. They don't retry; the sender does. */
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

/** The part of the SDK's command types that we use. */
interface Command {
  readonly middlewareStack: { add(middleware: never, options: never): void };
}

type Send = (
  request: never,
) => Promise<{ readonly response: { statusCode: number; body: unknown } }>;

/**
 * Sends a command and reads the whole response within a deadline. The SDK's own `requestTimeout`
 * only warns and does not include the body. An interrupted response is an error, even with a status
 * of success.
 *
 * @param send calls the client's own `send` with the options
 * @param onStatus called with the status as soon as it arrives
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
  // Between the connection and the deserialiser. Its types are specific to each command.
  const place = { step: "deserialize", priority: "low", name: "bounded" };
  command.middlewareStack.add(bounded as never, place as never);
  return withDeadline(timeoutMs, (abortSignal) => send(command, { abortSignal }));
}

/**
 * Like `sendCommand`, for messages. After a status of 2xx Amazon is responsible for the message,
 * even if the rest of the response is lost; sending again would deliver it twice.
 *
 * @returns undefined if the response was interrupted after the status
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

/** Errors for which retrying is pointless. */
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
 * Classifies SDK errors. If the endpoint of a device that is gone was disabled, SNS reports it as
 * one that exists with different attributes. An identity that is not verified yet can be corrected
 * and appears as a rejection.
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
