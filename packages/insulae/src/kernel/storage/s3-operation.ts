/**
 * One S3 operation, with a deadline and two kinds of failure. The deadline covers everything
 * (credentials, waiting for a socket, connecting, the response's last byte, the SDK's retries) and
 * grows with the bytes sent. The size of responses is bounded.
 */
import { pipeline, Readable, Transform } from "node:stream";
import { AppError } from "../lib/errors.ts";
import { storageFull, storageUnavailable } from "./errors.ts";

export interface OperationLimits {
  /** The time allowed in addition to the transfer. Default 10 s. */
  readonly ms?: number;
  /** The number of bytes that it sends. */
  readonly bytes?: number;
  /** Aborts when the caller no longer waits. */
  readonly signal?: AbortSignal | undefined;
}

/** Request options of the SDK. */
export interface Sending {
  readonly abortSignal: AbortSignal;
  /** For one attempt. */
  readonly requestTimeout: number;
}

/** For a response; a list of 1,000 keys has about 1 MiB. */
const maxAnswerBytes = 8 * 1024 * 1024;
/** An S3 slower than this counts as unavailable. */
const bytesPerSecond = 128 * 1024;

/** @throws storageFull, storageUnavailable, or our own errors thrown by `work` */
export async function operation<T>(
  work: (sending: Sending) => Promise<T>,
  { ms = 10_000, bytes = 0, signal }: OperationLimits = {},
): Promise<T> {
  const deadlineMs = ms + (bytes / bytesPerSecond) * 1_000;
  const ending = new AbortController();
  const timer = setTimeout(
    () => ending.abort(new Error(`no response in ${Math.round(deadlineMs)} ms`)),
    deadlineMs,
  );
  const stop = () => ending.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  try {
    signal?.throwIfAborted();
    const ended = Promise.withResolvers<never>();
    ending.signal.addEventListener("abort", () => ended.reject(ending.signal.reason));
    // Leaves time for a second attempt.
    const sending = { abortSignal: ending.signal, requestTimeout: deadlineMs * 0.45 };
    return await Promise.race([work(sending), ended.promise]);
  } catch (error) {
    throw failureOf(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** SDK middleware next to the wire: bounds responses that never end. */
export const boundedAnswer =
  <Args, Output extends { response: unknown }>(next: (args: Args) => Promise<Output>) =>
  async (args: Args): Promise<Output> => {
    const output = await next(args);
    const { response } = output;
    if (typeof response === "object" && response !== null && "body" in response) {
      const { body } = response;
      // The reader of the stream gets its errors.
      if (body instanceof Readable) response.body = pipeline(body, bounded(), () => {});
    }
    return output;
  };

function bounded(): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      done(size > maxAnswerBytes ? new Error("the response is too large") : null, chunk);
    },
  });
}

/** Failures of the storage are never the client's fault. */
function failureOf(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const status = statusOf(cause);
  if (status === 507) return storageFull({ cause });
  const refused = status !== undefined && status >= 300 && status < 500 && status !== 429;
  return storageUnavailable({
    headers: { "retry-after": "5" },
    cause: refused
      ? new Error(
          `The S3 refused this server's request with ${status}. Check S3_BUCKET_NAME, S3_REGION, S3_ENDPOINT, the credentials and the clock.`,
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

/** Maps one of these statuses to a result; a missing bucket remains an error. */
export const unless =
  <Status extends number>(...statuses: readonly Status[]) =>
  (error: unknown): Status => {
    const found = statuses.find((status) => status === statusOf(error));
    if (found === undefined || Reflect.get(Object(error), "name") === "NoSuchBucket") throw error;
    return found;
  };
