/**
 * What a file is, by its first bytes. A type that has a signature must have it: a page or a program
 * that calls itself a picture is refused. What has none is what its uploader says, and is never shown
 * by a browser in its own right: only what cannot run anything is `inline`, the rest is an attachment.
 */
import { charsetOf, essenceOf } from "../../kernel/lib/media-type.ts";

/** Enough to know any of the signatures. */
export const signatureBytes = 64;

const ascii = (text: string, at = 0) => ({ at, bytes: Buffer.from(text, "latin1") });
const hex = (text: string, at = 0) => ({ at, bytes: Buffer.from(text, "hex") });

/** Each a choice of what must all be there. */
const signatures: Readonly<Record<string, readonly (readonly ReturnType<typeof hex>[])[]>> = {
  "image/png": [[hex("89504e470d0a1a0a")]],
  "image/jpeg": [[hex("ffd8ff")]],
  "image/gif": [[ascii("GIF87a")], [ascii("GIF89a")]],
  "image/webp": [[ascii("RIFF"), ascii("WEBP", 8)]],
  "image/avif": [[ascii("ftypavif", 4)], [ascii("ftypavis", 4)], [ascii("ftypmif1", 4)]],
  "image/bmp": [[ascii("BM")]],
  "image/tiff": [[hex("49492a00")], [hex("4d4d002a")]],
  "application/pdf": [[ascii("%PDF-")]],
  "application/zip": [[hex("504b0304")], [hex("504b0506")]],
  "application/gzip": [[hex("1f8b")]],
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": [[hex("504b0304")]],
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": [[hex("504b0304")]],
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": [[hex("504b0304")]],
  "audio/mpeg": [[ascii("ID3")], [hex("fffb")], [hex("fff3")], [hex("fff2")]],
  "audio/wav": [[ascii("RIFF"), ascii("WAVE", 8)]],
  "audio/ogg": [[ascii("OggS")]],
  "audio/flac": [[ascii("fLaC")]],
  "video/mp4": [[ascii("ftyp", 4)]],
  "video/quicktime": [[ascii("ftyp", 4)], [ascii("moov", 4)]],
  "video/webm": [[hex("1a45dfa3")]],
};

/** Whether a file that begins so can be of the type. */
export function fitsType(start: Uint8Array, type: string): boolean {
  const essence = essenceOf(type);
  const known = Object.hasOwn(signatures, essence) ? signatures[essence] : undefined;
  if (known) {
    return known.some((parts) =>
      parts.every(({ at, bytes }) => bytes.equals(start.subarray(at, at + bytes.length))),
    );
  }
  return !isWithoutNul(type) || !start.includes(0);
}

/** Text of any kind has no NUL, but in encodings of wider units. */
export const isWithoutNul = (type: string): boolean =>
  type.startsWith("text/") && !/^(utf-16|utf-32|ucs-2)/.test(charsetOf(type) ?? "");

const shown = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/avif",
  "audio/mpeg",
  "audio/wav",
  "audio/ogg",
  "audio/flac",
  "video/mp4",
  "video/webm",
  "text/plain",
]);

/** Whether a browser may show it. */
export const isShown = (type: string): boolean => shown.has(essenceOf(type));
