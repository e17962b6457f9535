import { validationFailed } from "../../kernel/lib/http-errors.ts";

/** A range of days in UTC, both ends included. */
export interface Days {
  readonly from: string;
  readonly to: string;
  readonly all: readonly string[];
}

const dayMs = 86_400_000;
const usualDays = 30;

const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

export const today = (now = Date.now()): string => dateOf(now);

/**
 * The requested days; by default the last thirty, including today.
 *
 * @throws validationFailed if the first is after the last, or the range is too long
 */
export function daysOf(
  wanted: { readonly from?: string; readonly to?: string },
  maxDays: number,
  now = Date.now(),
): Days {
  const to = wanted.to ?? today(now);
  const from = wanted.from ?? dateOf(Date.parse(to) - (usualDays - 1) * dayMs);
  const count = (Date.parse(to) - Date.parse(from)) / dayMs + 1;
  if (!(count >= 1 && count <= maxDays)) {
    const message = `must not be after \`to\`; the range may have at most ${maxDays} days`;
    throw validationFailed({ errors: [{ pointer: "/query/from", message }] });
  }
  const all = Array.from({ length: count }, (_, i) => dateOf(Date.parse(from) + i * dayMs));
  return { from, to, all };
}
