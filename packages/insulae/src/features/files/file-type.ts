/**
 * What a file is, by its first bytes. A type that has a signature must have it: a page or a program
 * that calls itself a picture is refused. What has none is what its uploader says, and is never shown
 * by a browser in its own right: only what cannot run anything is `inline`, the rest is an attachment.
 */

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
  const known = Object.hasOwn(signatures, type) ? signatures[type] : undefined;
  if (known) {
    return known.some((parts) =>
      parts.every(({ at, bytes }) => bytes.equals(start.subarray(at, at + bytes.length))),
    );
  }
  // Text of any kind has no NUL.
  return !type.startsWith("text/") || !start.includes(0);
}

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

/** `Content-Disposition` (RFC 6266): its name both as ASCII and, where that is not all, as UTF-8. */
export function dispositionOf({ name, type }: { readonly name: string; readonly type: string }) {
  const folder = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\"));
  const base = name.slice(folder + 1).toWellFormed() || "file";
  const plain = base.replaceAll(/[^ !#-[\]-~]|%/g, "_");
  const encoded = encodeURIComponent(base).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  const extended = plain === base ? "" : `; filename*=UTF-8''${encoded}`;
  return `${shown.has(type) ? "inline" : "attachment"}; filename="${plain}"${extended}`;
}
