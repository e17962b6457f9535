/**
 * Text from outside. Limits count characters like JSON Schema, PostgreSQL's `char_length` and
 * people do: code points. An emoji is one, where JavaScript's `length` counts two.
 */

/**
 * The beginning of a text, at most this many UTF-16 code units. Never ends in half a character, and
 * contains no lone surrogates, which neither JSON nor PostgreSQL accepts.
 */
export function beginning(text: string, units: number): string {
  if (text.length <= units) return text.toWellFormed();
  const isHigh = (text.charCodeAt(units - 1) & 0xfc00) === 0xd800;
  return text.slice(0, isHigh ? units - 1 : units).toWellFormed();
}

/** Whether a text has more than this many characters. Reads no more of it than necessary. */
export function isLonger(text: string, characters: number): boolean {
  if (text.length <= characters) return false;
  if (text.length > 2 * characters) return true;
  let count = 0;
  for (const _ of text) if (++count > characters) return true;
  return false;
}

/** Longer than any name, in characters. Bounds the cost of normalising and checking. */
const longestName = 1_000;

/**
 * A name in the form for comparisons: NFKC. For names only: sorting a long run of combining marks
 * takes quadratic time (40,000 of them: two seconds), so longer texts are returned unchanged.
 */
export const normalised = (name: string): string =>
  name.length > longestName ? name : name.normalize("NFKC"); // Bounded: see above.

/** Invisible, but part of emoji and of many scripts. */
const selectors = String.raw`\u180b-\u180d\ufe00-\ufe0f\u{e0100}-\u{e01ef}`;
const joiners = String.raw`\u200c\u200d`;

/**
 * Control characters, line ends, bidirectional controls (`exe.gpj` displayed as `jpg.exe`), and
 * invisible characters. A joiner after ASCII joins nothing, and of ASCII only digits, `#` and `*`
 * have variants.
 */
// Bounded: matches a single character.
const misleading = new RegExp(
  [
    String.raw`[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--[${selectors}${joiners}]]`,
    String.raw`(?<![^\0-\x7f])[${joiners}]`,
    String.raw`(?<![^\0-\x7f]|[#*0-9])[${selectors}]`,
  ].join("|"),
  "v",
);

/** The first invisible or control character that makes a name look like another, as `U+200B`. */
function findMisleading(name: string): string | undefined {
  const found = misleading.exec(name)?.[0].codePointAt(0);
  return found === undefined ? undefined : `U+${found.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Characters that display nothing, such as the empty Braille pattern. */
// Bounded: it has no two ways to match a text.
const blank = /^[\s\u2800]*$/;

/** The problem of a single-line name, for its author. `minLength` refuses the empty one. */
export function nameProblem(name: string): string | undefined {
  if (isLonger(name, longestName)) return `must not have more than ${longestName} characters`;
  const found = findMisleading(name);
  if (found !== undefined) {
    return `must not have the invisible or control character ${found}; remove it`;
  }
  return name !== "" && blank.test(name) ? "must not be blank" : undefined;
}

/**
 * Characters that a terminal would interpret or that could fake a new line: control characters
 * (including ESC, C1 and DEL), line ends, bidirectional controls, and lone surrogates.
 */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * The text on one line, safe to print whoever chose it: unprintable characters are escaped as in
 * JSON.
 */
export const printable = (text: string): string => text.replaceAll(unprintable, escaped);

/**
 * The same for several lines. All but the first are indented, so that none looks like a line of its
 * own.
 */
export const printableLines = (text: string): string =>
  text
    .split("\n")
    .map((line) => printable(line.trim()))
    .join("\n    ");

function escaped(character: string): string {
  const json = JSON.stringify(character).slice(1, -1);
  return json === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : json;
}
