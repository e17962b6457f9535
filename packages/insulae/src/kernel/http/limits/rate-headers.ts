/**
 * What a limited answer says about its limit: the usual `X-RateLimit-…`, and `RateLimit` and
 * `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers (10) has them.
 *
 * Only the caller's own bucket is told of. What is left in the installation's would tell each tenant
 * how busy the others are; it is named where it is the one that refused.
 */
import { type Charge, capacityOf, unitsOfRequest } from "./local-buckets.ts";

/**
 * Names and values. `x-ratelimit-reset` is when the bucket will be full again, in seconds since 1970;
 * `x-ratelimit-retryafter` in how many seconds the next request may be made (0: now); `ratelimit`
 * what is left, and in how many seconds the bucket will be full.
 *
 * @param spent what is missing from the bucket. @param now milliseconds since 1970
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

/** How many requests the bucket has left. */
export const remainingOf = (charge: Charge, spent: number): number =>
  Math.floor((capacityOf(charge) - spent) / unitsOfRequest);

/** In how many seconds a bucket that is empty is full. */
export const windowSeconds = ({ perMinute, size = perMinute }: Charge): number =>
  Math.ceil((size * 60) / perMinute);

/** In how many seconds the bucket has what a request takes; at least 1. */
export const retryAfterSeconds = (charge: Charge, spent: number): number =>
  Math.max(1, Math.ceil((spent + unitsOfRequest - capacityOf(charge)) / charge.perMinute / 1000));
