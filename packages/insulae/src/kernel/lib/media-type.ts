/** Media types with their parameters (RFC 9110, section 8.3.1). */
import { MIMEType } from "node:util";

const name = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*";
const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const parameter = `[ \\t]*${token}=(?:${token}|"[ !#-:<-\\[\\]-~]*")`;

/**
 * `text/plain`, `text/plain; charset=utf-8`. Quoted values may not contain quotes, backslashes or
 * semicolons.
 */
export const mediaTypePattern = `^${name}/${name}(?:[ \\t]*;(?:${parameter})?)*$`;

const pattern = new RegExp(mediaTypePattern); // Bounded: to 1,000 characters, below.

/**
 * The canonical spelling of a type: `Text/Plain;Charset="utf-8"` becomes `text/plain;
 * charset=utf-8`.
 *
 * @returns undefined if the text is not a media type
 */
export function mediaType(text: string): string | undefined {
  if (text.length > 1_000 || !pattern.test(text)) return undefined;
  return new MIMEType(text).toString().replaceAll(";", "; ");
}

/** The type without parameters. @param type a result of `mediaType` */
export const essenceOf = (type: string): string => type.split(";", 1)[0] ?? type;

/** @param type a result of `mediaType` */
export const charsetOf = (type: string): string | undefined =>
  new MIMEType(type).params.get("charset")?.toLowerCase();
