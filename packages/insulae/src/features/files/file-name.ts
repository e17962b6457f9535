/** What people call a file: any text that looks like what it is. */
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import { isLonger, nameProblem } from "../../kernel/lib/text.ts";

/** In characters (code points), as the database counts. */
export const maxNameLength = 255;

/** Of a path in either notation; whoever sends one means the file at its end, as browsers did. */
const lastPart = (path: string): string =>
  path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);

/**
 * The last part of a path, in its composed form (NFC): that of a file from macOS is not.
 *
 * @param pointer where the request says it
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

/** File systems take no more, so nobody could keep a longer name. */
const maxNameBytes = 255;

/** `Content-Disposition` (RFC 6266): its name both as ASCII and, where that is not all, as UTF-8. */
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

/** As much of a name as `maxNameBytes` allow, with its extension, in whole characters. */
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
