/**
 * Finds numbers in JSON text that JavaScript can't represent. It parses all numbers as doubles:
 * 9007199254740993 would become 9007199254740992, and 1e400 infinity, which JSON writes as null. A
 * number is exact if its double, written again, has the same decimal value.
 */
import { beginning } from "../lib/text.ts";

const digit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** @param start at a digit. @returns the end of the number that begins there, without its sign */
export function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end);
    // `.`, `+`, `-`, `e`, `E`. The parser refuses what is not a number at all.
    const isPart = digit(code) || code === 0x2e || code === 0x2b || code === 0x2d;
    if (!isPart && (code | 0x20) !== 0x65) break;
  }
  return end;
}

/** A number with at most this many digits is exact, unless its exponent is extreme. */
const safeDigits = 15;
const safeExponent = 290;
const smallestSafe = 1e-290;

/**
 * Whether JavaScript represents the number, without its sign, exactly. The parser refuses anything
 * else.
 */
export function isExact(text: string, start: number, end: number): boolean {
  if (isPlain(text, start, end)) return true;
  const number = text.slice(start, end);
  const value = Number(number);
  if (Number.isNaN(value)) return true;
  if (!Number.isFinite(value)) return false;
  if (number.length <= safeDigits && value > smallestSafe) return true;
  const written = String(value);
  if (written === number) return true;
  const [before, after] = [decimal(number), decimal(written)];
  return before.digits === after.digits && (before.digits === "" || before.point === after.point);
}

/** Whether the number has so few digits and so small an exponent that it is exact for certain. */
function isPlain(text: string, start: number, end: number): boolean {
  let digits = 0;
  let at = start;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if ((code | 0x20) === 0x65) break;
    if (digit(code) && ++digits > safeDigits) return false;
  }
  let exponent = 0;
  for (at++; at < end; at++) {
    const code = text.charCodeAt(at);
    if (digit(code)) exponent = exponent * 10 + code - 0x30;
  }
  return exponent < safeExponent;
}

/** Its digits without leading and trailing zeros, and the position of the decimal point. */
function decimal(number: string): { readonly digits: string; readonly point: number } {
  const e = Math.max(number.indexOf("e"), number.indexOf("E"));
  const mantissa = e === -1 ? number : number.slice(0, e);
  const dot = mantissa.indexOf(".");
  const whole = dot === -1 ? mantissa.length : dot;
  const all = dot === -1 ? mantissa : mantissa.slice(0, dot) + mantissa.slice(dot + 1);
  let start = 0;
  let end = all.length;
  while (start < end && all.charCodeAt(start) === 0x30) start++;
  while (end > start && all.charCodeAt(end - 1) === 0x30) end--;
  const exponent = e === -1 ? 0 : Number(number.slice(e + 1));
  return { digits: all.slice(start, end), point: whole - start + exponent };
}

const maxName = 100;

/** The JSON pointer (RFC 6901) to the value at a position of a valid JSON text. */
export function pointerTo(text: string, position: number): string {
  const path: { isList: boolean; at: number; name: string }[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gy; // Bounded: it was parsed, so that each string in it ends.
  const skip = /[^"{}[\]:,]*/y;
  let last = "";
  for (let at = 0; at < position; at = token.lastIndex) {
    skip.lastIndex = at;
    skip.test(text);
    token.lastIndex = skip.lastIndex;
    const found = token.exec(text)?.[0];
    if (found === undefined || token.lastIndex > position) break;
    const inner = path.at(-1);
    if (found === "{" || found === "[") path.push({ isList: found === "[", at: 0, name: "" });
    else if (found === "}" || found === "]") path.pop();
    else if (found === "," && inner) inner.at += 1;
    else if (found === ":" && inner) inner.name = JSON.parse(last);
    last = found;
  }
  const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");
  return path
    .map(({ isList, at, name }) => `/${isList ? at : escaped(beginning(name, maxName))}`)
    .join("");
}
