import { validationFailed } from "../../kernel/lib/http-errors.ts";

/** Days of UTC, from the first to the last. */
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
 * The days that are asked for; by default the last thirty, today among them.
 *
 * @throws validationFailed if the first is after the last, or they are too many
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
    const message = `must be a day before \`to\`, and at most ${maxDays} days with it`;
    throw validationFailed({ errors: [{ pointer: "/query/from", message }] });
  }
  const all = Array.from({ length: count }, (_, i) => dateOf(Date.parse(from) + i * dayMs));
  return { from, to, all };
}
