/**
 * Splits SQL text into statements and returns the first words of each. Handles quotes, `$…$`
 * bodies, comments and `begin atomic … end`. Linear in the length of the text.
 *
 * Lexical structure: PostgreSQL manual, section 4.1.
 */

/** @returns the first two words of each statement, in lower case: `["create", "table"]` */
export function firstWordsOf(text: string): readonly (readonly string[])[] {
  const statements: string[][] = [];
  let words: string[] = [];
  let before = "";
  let depth = 0;
  const scanner =
    /--[^\n]*|\/\*|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?:[A-Za-z_][A-Za-z_0-9]*)?\$|;|[A-Za-z_][A-Za-z_0-9]*|[\s\S]/g;
  for (let found = scanner.exec(text); found; found = scanner.exec(text)) {
    const [part] = found;
    if (part === "/*") scanner.lastIndex = endOfComment(text, scanner.lastIndex);
    else if (part.startsWith("$") && part.endsWith("$") && part.length > 1) {
      const end = text.indexOf(part, scanner.lastIndex);
      scanner.lastIndex = end < 0 ? text.length : end + part.length;
    } else if (part === ";" && depth === 0) {
      if (words.length > 0) statements.push(words);
      words = [];
      before = "";
    } else if (/^[A-Za-z_]/.test(part)) {
      const word = part.toLowerCase();
      if (words.length < 2) words.push(word);
      if (word === "atomic" && before === "begin") depth += 1;
      else if (depth > 0 && word === "case") depth += 1;
      else if (depth > 0 && word === "end") depth -= 1;
      before = word;
    }
  }
  if (words.length > 0) statements.push(words);
  return statements;
}

/** Comments can be nested. @param from the position after the opening */
function endOfComment(text: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const found = mark.exec(text);
    if (!found) return text.length;
    depth += found[0] === "/*" ? 1 : -1;
  }
  return mark.lastIndex;
}
