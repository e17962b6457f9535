/** 52 characters once encoded, so that the first one fits into the header's first line. */
const bytesInWord = 30;

/**
 * A subject for a header. One in ASCII that looks encoded already (`=?utf-8?Q?=0D=0A?=`) is encoded once more:
 * drivers leave ASCII alone, and its readers would see what it decodes to, which nobody has checked.
 *
 * @example
 * subjectHeader("=?utf-8?Q?x?=") // "=?UTF-8?B?PT91dGYtOD9RP3g/PQ==?="
 */
export function subjectHeader(subject: string): string {
  if (!subject.includes("=?")) return subject;
  const words: string[] = [];
  let word = "";
  let room = bytesInWord;
  // Each word has whole characters (section 5).
  for (const character of subject) {
    const bytes = Buffer.byteLength(character);
    if (bytes > room) {
      words.push(word);
      [word, room] = ["", bytesInWord];
    }
    word += character;
    room -= bytes;
  }
  const encoded = (text: string) => `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;
  return [...words, word].map(encoded).join(" ");
}
