/**
 * Text from outside. Limits count characters, as JSON Schema, PostgreSQL's `char_length` and people do:
 * code points, of which an emoji is one where JavaScript's `length` says two.
 */

/**
 * The beginning of a text, of so many UTF-16 code units at most: never half a character, and no lone
 * surrogate, which neither JSON nor PostgreSQL takes.
 */
export function beginning(text: string, units: number): string {
  if (text.length <= units) return text.toWellFormed();
  const isHigh = (text.charCodeAt(units - 1) & 0xfc00) === 0xd800;
  return text.slice(0, isHigh ? units - 1 : units).toWellFormed();
}

/** Whether a text has more than so many characters; looks at no more of it than that takes. */
export function isLonger(text: string, characters: number): boolean {
  if (text.length <= characters) return false;
  if (text.length > 2 * characters) return true;
  let count = 0;
  for (const _ of text) if (++count > characters) return true;
  return false;
}

/** Longer than any name; what normalising such a text costs is bounded by it. */
const longestName = 1_000;

/**
 * A name as it is compared: NFKC. Only of names: sorting a long run of combining marks takes the square
 * of its length (40,000 of them: two seconds), so that a longer text is returned as it is.
 */
export const normalised = (name: string): string =>
  name.length > longestName ? name : name.normalize("NFKC"); // Bounded: see above.
