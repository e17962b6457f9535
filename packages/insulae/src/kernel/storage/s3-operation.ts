/**
 * One operation on an S3: it ends in time, and fails in one of two ways. The deadline covers all of it
 * (credentials, the wait for a socket, the connection, the answer's last byte, the SDK's retries) and
 * grows with the bytes that are sent. An answer is read up to a size.
 */
import { pipeline, Readable, Transform } from "node:stream";
import { AppError } from "../lib/errors.ts";
import { storageFull, storageUnavailable } from "./errors.ts";

export interface OperationLimits {
  /** How long it may take without any bytes. Default 10 s. */
  readonly ms?: number;
  /** How many bytes it sends. */
  readonly bytes?: number;
  /** Aborts when nobody waits for it any more. */
  readonly signal?: AbortSignal | undefined;
}

/** What the SDK takes with each request. */
export interface Sending {
  readonly abortSignal: AbortSignal;
  /** Of one attempt. */
  readonly requestTimeout: number;
}

/** Of an answer; a list of 1,000 keys has about one. */
const maxAnswerBytes = 8 * 1024 * 1024;
/** An S3 that takes less than this counts as away. */
const bytesPerSecond = 128 * 1024;

/** @throws storageFull, storageUnavailable, or what `work` throws of ours */
export async function operation<T>(
  work: (sending: Sending) => Promise<T>,
  { ms = 10_000, bytes = 0, signal }: OperationLimits = {},
): Promise<T> {
  const deadlineMs = ms + (bytes / bytesPerSecond) * 1_000;
  const ending = new AbortController();
  const timer = setTimeout(
    () => ending.abort(new Error(`no answer in ${Math.round(deadlineMs)} ms`)),
    deadlineMs,
  );
  const stop = () => ending.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  try {
    signal?.throwIfAborted();
    const ended = Promise.withResolvers<never>();
    ending.signal.addEventListener("abort", () => ended.reject(ending.signal.reason));
    // So that there is time for a second attempt.
    const sending = { abortSignal: ending.signal, requestTimeout: deadlineMs * 0.45 };
    return await Promise.race([work(sending), ended.promise]);
  } catch (error) {
    throw failureOf(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** A middleware of the SDK, next to the wire: an answer without an end is not read to it. */
export const boundedAnswer =
  <Args, Output extends { response: unknown }>(next: (args: Args) => Promise<Output>) =>
  async (args: Args): Promise<Output> => {
    const output = await next(args);
    const { response } = output;
    if (typeof response === "object" && response !== null && "body" in response) {
      const { body } = response;
      // Whoever reads it hears of its errors.
      if (body instanceof Readable) response.body = pipeline(body, bounded(), () => {});
    }
    return output;
  };

function bounded(): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      done(size > maxAnswerBytes ? new Error("the answer is too large") : null, chunk);
    },
  });
}

/** Whatever goes wrong there is no fault of the client's. */
function failureOf(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const status = statusOf(cause);
  if (status === 507) return storageFull({ cause });
  const refused = status !== undefined && status >= 300 && status < 500 && status !== 429;
  return storageUnavailable({
    headers: { "retry-after": "5" },
    cause: refused
      ? new Error(
          `The S3 refuses this server with ${status}. Check S3_BUCKET_NAME, S3_REGION, S3_ENDPOINT, the credentials and the clock.`,
          { cause },
        )
      : cause,
  });
}

function statusOf(error: unknown): number | undefined {
  const metadata = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  const status: unknown = Reflect.get(Object(metadata), "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

/** Makes one of these answers a result; that there is no such bucket is none. */
export const unless =
  <Status extends number>(...statuses: readonly Status[]) =>
  (error: unknown): Status => {
    const found = statuses.find((status) => status === statusOf(error));
    if (found === undefined || Reflect.get(Object(error), "name") === "NoSuchBucket") throw error;
    return found;
  };
