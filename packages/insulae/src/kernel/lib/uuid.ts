import { createHash, randomBytes } from "node:crypto";

/** Insulae's own namespace. Never change it: names must have the same ids on every server. */
const namespace = Buffer.from("6f4b3c5ad1c94e0c9a4d3a7c5b1e2f60", "hex");

/** Whether a reference is an id. Where names are accepted too, names must not have this form. */
export const isUuid = (text: string): boolean =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/**
 * The id of something that has a name but no row, such as a permission or a system role (RFC 9562,
 * section 5.5).
 *
 * @example
 * uuidV5("contacts:read"); // the same everywhere
 */
export function uuidV5(name: string): string {
  const bytes = createHash("sha1").update(namespace).update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return uuidOfBytes(bytes);
}

/**
 * A time-ordered id (RFC 9562, section 5.7).
 *
 * @param name replaces the random part, for an id that several nodes derive alike
 */
export function uuidV7(ms: number = Date.now(), name?: string): string {
  const bytes =
    name === undefined
      ? randomBytes(16)
      : createHash("sha256").update(namespace).update(name).digest().subarray(0, 16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return uuidOfBytes(bytes);
}

/** The text form of 16 bytes. */
export function uuidOfBytes(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  const [a, b, c, d] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return `${a}-${b}-${c}-${d}-${hex.slice(20)}`;
}

/** The 16 bytes of the text form. */
export const bytesOfUuid = (uuid: string): Buffer => Buffer.from(uuid.replaceAll("-", ""), "hex");
