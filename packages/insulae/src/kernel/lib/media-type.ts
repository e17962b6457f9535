/** Media types with their parameters (RFC 9110, section 8.3.1). */
import { MIMEType } from "node:util";

const name = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*";
const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const parameter = `[ \\t]*${token}=(?:${token}|"[ !#-:<-\\[\\]-~]*")`;

/** `text/plain`, `text/plain; charset=utf-8`. A quoted value has no quote, backslash or semicolon. */
export const mediaTypePattern = `^${name}/${name}(?:[ \\t]*;(?:${parameter})?)*$`;

const pattern = new RegExp(mediaTypePattern); // Bounded: to 1,000 characters, below.

/**
 * One spelling of a type: `Text/Plain;Charset="utf-8"` is `text/plain; charset=utf-8`.
 *
 * @returns undefined if it is none
 */
export function mediaType(text: string): string | undefined {
  if (text.length > 1_000 || !pattern.test(text)) return undefined;
  return new MIMEType(text).toString().replaceAll(";", "; ");
}

/** The type without its parameters. @param type of `mediaType` */
export const essenceOf = (type: string): string => type.split(";", 1)[0] ?? type;

/** @param type of `mediaType` */
export const charsetOf = (type: string): string | undefined =>
  new MIMEType(type).params.get("charset")?.toLowerCase();
