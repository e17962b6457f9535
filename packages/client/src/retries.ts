/**
 * Trying again: only what can't be done twice by it. A `GET`, a request with an `Idempotency-Key`; and
 * whatever was refused before anything was done (429). Pauses double, with full jitter, and are never
 * shorter than the server's `Retry-After`.
 */
import { ApiError } from "./errors.ts";

export interface RetryOptions {
  /** How often at most, beside the first time. */
  readonly retries: number;
  /** Whether the same request may reach the server twice. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Whoever is to wait for longer is better told so. */
const longestPause = 10_000;

/** @throws what the last try threw */
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

/** How long to wait at least before it is tried again; undefined: don't. */
function leastPause(error: unknown, repeatable: boolean): number | undefined {
  // What fetch throws when there is no answer.
  if (!(error instanceof ApiError)) return repeatable && error instanceof TypeError ? 0 : undefined;
  const { code, status, retryAfter = 0 } = error;
  if (code === "rate_limit_exceeded") return retryAfter;
  // Here even a second try with the same key may be a second time.
  if (!repeatable || code === "write_outcome_unknown") return undefined;
  const passing = [502, 503, 504].includes(status) || code === "idempotent_request_in_progress";
  return passing ? retryAfter : undefined;
}

/** Between nothing and twice as much after each failure, half a minute at most. */
export const backoff = (failures: number): number =>
  Math.random() * Math.min(30_000, 250 * 2 ** failures);

/** @throws the signal's reason, as soon as it is aborted */
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
