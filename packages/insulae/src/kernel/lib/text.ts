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

/** Longer than any name, in characters; what normalising or checking such a text costs is bounded by it. */
const longestName = 1_000;

/**
 * A name as it is compared: NFKC. Only of names: sorting a long run of combining marks takes the square
 * of its length (40,000 of them: two seconds), so that a longer text is returned as it is.
 */
export const normalised = (name: string): string =>
  name.length > longestName ? name : name.normalize("NFKC"); // Bounded: see above.

/** Part of emoji and of many scripts, though nobody sees them. */
const selectors = String.raw`\u180b-\u180d\ufe00-\ufe0f\u{e0100}-\u{e01ef}`;
const joiners = String.raw`\u200c\u200d`;

/**
 * Control characters, ends of lines, what turns the direction of text (`exe.gpj` that reads `jpg.exe`), and
 * what is not seen. A joiner after ASCII joins nothing, and of ASCII only digits, `#` and `*` have variants.
 */
// Bounded: it is of one character.
const misleading = new RegExp(
  [
    String.raw`[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--[${selectors}${joiners}]]`,
    String.raw`(?<![^\0-\x7f])[${joiners}]`,
    String.raw`(?<![^\0-\x7f]|[#*0-9])[${selectors}]`,
  ].join("|"),
  "v",
);

/** The first invisible or control character in a name that lets it look like another, as `U+200B`. */
function findMisleading(name: string): string | undefined {
  const found = misleading.exec(name)?.[0].codePointAt(0);
  return found === undefined ? undefined : `U+${found.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** What shows nothing, such as the empty pattern of Braille. */
// Bounded: it has no two ways to match a text.
const blank = /^[\s\u2800]*$/;

/** What is wrong with a name in one line, for whoever sent it; the empty text is for `minLength` to refuse. */
export function nameProblem(name: string): string | undefined {
  if (isLonger(name, longestName)) return `must not have more than ${longestName} characters`;
  const found = findMisleading(name);
  if (found !== undefined) {
    return `must not have the invisible or control character ${found}; remove it`;
  }
  return name !== "" && blank.test(name) ? "must not be blank" : undefined;
}

/**
 * What a terminal would obey or a reader take for another line: control characters (those of ESC sequences, C1 and
 * DEL among them), ends of lines, what turns the direction of text, and halves of characters.
 */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** A text as it may be printed, on one line, whoever chose it: what is no text is written as JSON escapes it. */
export const printable = (text: string): string => text.replaceAll(unprintable, escaped);

/** Several lines, of which each but the first is indented, so that none looks like a line of its own. */
export const printableLines = (text: string): string =>
  text
    .split("\n")
    .map((line) => printable(line.trim()))
    .join("\n    ");

function escaped(character: string): string {
  const json = JSON.stringify(character).slice(1, -1);
  return json === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : json;
}
