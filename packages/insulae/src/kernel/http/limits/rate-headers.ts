/**
 * The rate-limit headers: the usual `X-RateLimit-…`, and `RateLimit` and `RateLimit-Policy` of
 * draft-ietf-httpapi-ratelimit-headers-10.
 *
 * They report the caller's own bucket only: the installation's would tell each tenant how busy the
 * others are. It is named only when it refused.
 */
import { type Charge, capacityOf, unitsOfRequest } from "./local-buckets.ts";

/**
 * Names and values. `x-ratelimit-reset`: when the bucket will be full, in seconds since 1970.
 * `x-ratelimit-retryafter`: seconds until the next request may be made (0: now). `ratelimit`:
 * requests left, and seconds until the bucket is full.
 *
 * @param spent units missing from the bucket
 * @param now milliseconds since 1970
 */
export function rateHeaders(
  charge: Charge,
  spent: number,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const { policy, perMinute, size = perMinute } = charge;
  const remaining = remainingOf(charge, spent);
  const fullInMs = spent / perMinute;
  const retryAfter = remaining > 0 ? 0 : retryAfterSeconds(charge, spent);
  return [
    ["x-ratelimit-limit", String(size)],
    ["x-ratelimit-remaining", String(remaining)],
    ["x-ratelimit-reset", String(Math.ceil((now + fullInMs) / 1000))],
    ["x-ratelimit-retryafter", String(retryAfter)],
    ["ratelimit", `"${policy}";r=${remaining};t=${Math.ceil(fullInMs / 1000)}`],
    ["ratelimit-policy", `"${policy}";q=${size};w=${windowSeconds(charge)}`],
  ];
}

/** Requests left in the bucket. */
export const remainingOf = (charge: Charge, spent: number): number =>
  Math.floor((capacityOf(charge) - spent) / unitsOfRequest);

/** Seconds until an empty bucket is full. */
export const windowSeconds = ({ perMinute, size = perMinute }: Charge): number =>
  Math.ceil((size * 60) / perMinute);

/** Seconds until the bucket has a request's worth again; at least 1. */
export const retryAfterSeconds = (charge: Charge, spent: number): number =>
  Math.max(1, Math.ceil((spent + unitsOfRequest - capacityOf(charge)) / charge.perMinute / 1000));
