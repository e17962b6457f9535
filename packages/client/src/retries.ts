/**
 * Retries requests that are safe to repeat: `GET`, requests with an `Idempotency-Key`, and requests
 * refused before anything was done (429). Delays grow exponentially with full jitter and are never
 * shorter than the server's `Retry-After`.
 */
import { ApiError } from "./errors.ts";

export interface RetryOptions {
  /** The maximum number of retries. */
  readonly retries: number;
  /** Whether the server may receive the same request twice. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** If the server asks for a longer wait, give up and report the error. */
const longestPause = 10_000;

/** @throws the error of the last attempt */
export async function retrying<T>(
  { retries, repeatable, signal }: RetryOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      const least = failures < retries ? leastPause(error, repeatable) : undefined;
      if (least === undefined || least > longestPause) throw error;
      await pause(Math.max(least, backoff(failures)), signal);
    }
  }
}

/** The minimum delay before a retry, in milliseconds; undefined: don't retry. */
function leastPause(error: unknown, repeatable: boolean): number | undefined {
  // fetch throws a TypeError if there is no response.
  if (!(error instanceof ApiError)) return repeatable && error instanceof TypeError ? 0 : undefined;
  const { code, status, retryAfter = 0 } = error;
  if (code === "rate_limit_exceeded") return retryAfter;
  // Here even a retry with the same key might do it twice.
  if (!repeatable || code === "write_outcome_unknown") return undefined;
  const passing = [502, 503, 504].includes(status) || code === "idempotent_request_in_progress";
  return passing ? retryAfter : undefined;
}

/** A random delay, from 0 to a maximum that doubles with each failure, up to 30 s. */
export const backoff = (failures: number): number =>
  Math.random() * Math.min(30_000, 250 * 2 ** failures);

/** @throws the signal's reason as soon as it aborts */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
