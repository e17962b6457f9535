/**
 * Checks declared media types against a file's first bytes. A type with a known signature must have
 * it, so that a page or program can't pass as a picture. Types without a signature are taken as
 * declared; browsers may display (`inline`) only types that can't run scripts, and download the
 * rest.
 */
import { charsetOf, essenceOf } from "../../kernel/lib/media-type.ts";

/** Enough bytes for every signature below. */
export const signatureBytes = 64;

const ascii = (text: string, at = 0) => ({ at, bytes: Buffer.from(text, "latin1") });
const hex = (text: string, at = 0) => ({ at, bytes: Buffer.from(text, "hex") });

/** For each type, alternatives; every part of one alternative must match. */
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

/** Whether a file with these first bytes can be of the type. */
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

/** Text contains no NUL, except in encodings with wider code units. */
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

/** Whether browsers may display it. */
export const isShown = (type: string): boolean => shown.has(essenceOf(type));
