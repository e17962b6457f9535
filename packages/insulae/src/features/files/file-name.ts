/** Display names of files: any text without control or invisible characters. */
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import { isLonger, nameProblem } from "../../kernel/lib/text.ts";

/** In characters (code points), as PostgreSQL counts them. */
export const maxNameLength = 255;

/** The last segment of a POSIX or Windows path; some clients send a whole path as the name. */
const lastPart = (path: string): string =>
  path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);

/**
 * The last segment of a path, normalised to NFC (macOS sends decomposed names).
 *
 * @param pointer JSON pointer to the name in the request
 * @throws validationFailed
 */
export function fileName(text: string, pointer: string): string {
  const refuse = (message: string) => validationFailed({ errors: [{ pointer, message }] });
  const tooLong = () => refuse(`must not have more than ${maxNameLength} characters`);
  if (isLonger(text, maxNameLength)) throw tooLong();
  const last = lastPart(text);
  const problem = nameProblem(last);
  if (problem !== undefined) throw refuse(problem);
  if (["", ".", ".."].includes(last.trim())) throw refuse("must not be empty, . or ..");
  const name = last.normalize("NFC"); // Bounded: see above.
  if (isLonger(name, maxNameLength)) throw tooLong();
  return name;
}

/** The limit of common file systems. */
const maxNameBytes = 255;

/** `Content-Disposition` (RFC 6266) with an ASCII name and, if that loses anything, a UTF-8 one. */
export function dispositionOf(shown: "inline" | "attachment", name: string): string {
  const base = shortened(lastPart(name).toWellFormed()) || "file";
  const plain = base.replaceAll(/[^ !#-[\]-~]|%/g, "_");
  const encoded = encodeURIComponent(base).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  const extended = plain === base ? "" : `; filename*=UTF-8''${encoded}`;
  return `${shown}; filename="${plain}"${extended}`;
}

/** The name cut to `maxNameBytes` in whole characters, keeping the extension. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const extension = /\.[^.]{1,20}$/.exec(name)?.[0] ?? "";
  let kept = "";
  let room = maxNameBytes - Buffer.byteLength(extension);
  for (const { segment } of new Intl.Segmenter().segment(name)) {
    room -= Buffer.byteLength(segment);
    if (room < 0) break;
    kept += segment;
  }
  return kept + extension;
}
