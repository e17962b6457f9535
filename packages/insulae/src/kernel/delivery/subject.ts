/** 52 characters once encoded, so that the first word fits on the header's first line. */
const bytesInWord = 30;

/**
 * Encodes a subject for a header. ASCII text that looks encoded already (`=?utf-8?Q?=0D=0A?=`) is
 * encoded again: drivers leave ASCII unchanged, and readers would see its unchecked decoding.
 *
 * @example
 * subjectHeader("=?utf-8?Q?x?=") // "=?UTF-8?B?PT91dGYtOD9RP3g/PQ==?="
 */
export function subjectHeader(subject: string): string {
  if (!subject.includes("=?")) return subject;
  const words: string[] = [];
  let word = "";
  let room = bytesInWord;
  // Each word contains whole characters (RFC 2047, section 5).
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
