/**
 * Parses the file `.env`: one setting per line, `NAME=value`. Ambiguous lines are refused, because
 * a misread setting is worse than a failed start:
 *
 *     PORT=8080                    # a comment, after a blank
 *     export PUBLIC_URL=https://api.example.com
 *     ADMIN_PASSWORD="Correct#Horse"
 *     TEXT='a quoted value may have
 *     several lines'
 */
import { ConfigError, isSetting, settingNames } from "../config/config.ts";

export interface EnvironmentFile {
  readonly values: Readonly<Record<string, string>>;
  /** Names that nearly match a setting: `PROT: did you mean PORT?` */
  readonly doubts: readonly string[];
}

/** @throws ConfigError that lists the invalid lines */
export function parseEnvironmentFile(bytes: Uint8Array): EnvironmentFile {
  const values = new Map<string, string>();
  const problems: string[] = [];
  const lines = textOf(bytes).split(/\r?\n/);
  for (let index = 0; index < lines.length; index += 1) {
    const number = index + 1;
    const refuse = (why: string) => void problems.push(`.env, line ${number}: ${why}`);
    const line = lines[index]?.trimStart() ?? "";
    if (line === "" || line.startsWith("#")) continue;
    const [, name, begun = ""] = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*=(.*)$/.exec(line) ?? [];
    if (name === undefined) {
      refuse("expected NAME=value; comments begin with #");
      continue;
    }
    if (begun.startsWith("#")) {
      refuse(`${name} begins with a #; put the value into quotes, or a space before the comment`);
      continue;
    }
    let written = begun.trimStart();
    const quote = /^["'`]/.exec(written)?.[0];
    while (quote && !written.includes(quote, 1) && index + 1 < lines.length) {
      index += 1;
      written += `\n${lines[index]}`;
    }
    const value = readValue(written, quote);
    if (value instanceof Error) refuse(`${name} ${value.message}`);
    else if (values.has(name)) refuse(`${name} is set twice; keep one of the lines`);
    else values.set(name, value);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { values: Object.fromEntries(values), doubts: [...values.keys()].flatMap(doubt) };
}

function textOf(bytes: Uint8Array): string {
  const isUtf16 = bytes.includes(0) || (bytes[0] === 0xff && bytes[1] === 0xfe);
  try {
    if (isUtf16) throw new TypeError("UTF-16");
    // The decoder drops a byte order mark.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError([".env is not in UTF-8; save it in that encoding"]);
  }
}

/** Escapes in double quotes; any other backslash stands for itself. */
const escapes: Readonly<Record<string, string>> = { "\\\\": "\\", "\\n": "\n" };

function readValue(written: string, quote: string | undefined): string | Error {
  if (quote) {
    const end = written.indexOf(quote, 1);
    if (end < 0) return new Error(`begins with ${quote} but has no closing quote`);
    if (!/^\s*(#|$)/.test(written.slice(end + 1))) {
      return new Error(
        `continues after its closing ${quote}; use the other kind of quotes around all of it`,
      );
    }
    const inside = written.slice(1, end);
    return quote === '"' ? inside.replaceAll(/\\[\\n]/g, (pair) => escapes[pair] ?? "") : inside;
  }
  const value = written.replace(/(^|\s)#.*$/, "").trim();
  if (value.includes("#")) return new Error("contains a #; put the value into quotes");
  return value;
}

/** Suggests a setting within one insertion, deletion, substitution or transposition. */
function doubt(name: string): string[] {
  if (isSetting(name)) return [];
  const meant = settingNames.find((setting) => isNear(name.toUpperCase(), setting));
  return meant === undefined ? [] : [`${name} in .env is not a setting: did you mean ${meant}?`];
}

function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  const [restA, restB] = [a.slice(start), b.slice(start)];
  return (
    restA.slice(1) === restB.slice(1) ||
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    (restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2))
  );
}
