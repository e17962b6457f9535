/**
 * Takes secrets out of what is about to be kept: log lines and audit entries. By the name of the field
 * that holds them, and, in any text, by their form. It is the second line of defence: the first is
 * that nobody logs them.
 *
 * Texts come from clients and can be long, so the work grows with their length and no faster: where a
 * secret might begin, one run of characters is read, and the search goes on behind it.
 */
import { beginning } from "../lib/text.ts";

const redacted = "[redacted]";

const secretName =
  /pass(word|wd|phrase|code)|secret|token|cookie|authorization|credential|signature|private|api[-_]?key|^(code|otp|totp|state|nonce|verifier|assertion|hash)$/i;

/** Names that only sound like it. */
const harmlessName = /(_id|_ids|_at|_count|_kind|_type|_seconds|_ms|_days)$|^has_/i;

const secretParameter = /token|secret|signature|password|credential|key|code|sig|state/i;

/** What a secret looks like, and where its text begins. */
interface Form {
  /** Global: what stands before the secret, or at its beginning. */
  readonly begin: RegExp;
  /** Sticky: the run of characters that follows. It does not fail once it has read something. */
  readonly run: RegExp;
  /** How long the run has to be. */
  readonly least: number;
  /** Sticky: what has to come after the run; it is part of the secret. */
  readonly end?: RegExp;
  /** Whether what `begin` found is part of the secret. */
  readonly whole?: true;
  /** Whether what `begin` found announces one. Default: it does. */
  readonly announces?: RegExp;
}

const forms: readonly Form[] = [
  { begin: /\b(?:(?:bearer|basic|digest) +)+/gi, run: /[\w+/=.~-]*/y, least: 6 },
  { begin: /\bik_/gi, run: /[\w-]*/y, least: 20, whole: true },
  // A JWT.
  {
    begin: /\bey/gi,
    run: /[\w-]*/y,
    least: 10,
    end: /\.[\w-]{10}[\w-]*(?:\.[\w-]*){0,3}/y,
    whole: true,
  },
  // `scheme://user:password@`
  { begin: /:\/\/[^\s/:@]*:/g, run: /[^\s@]*/y, least: 1, end: /(?=@)/y },
  // `?token=…`
  { begin: /[?&;][\w.-]*=/g, run: /[^&#\s"']*/y, least: 1, announces: secretParameter },
];

/** What is in each of these forms, and in few texts: looked for first, as it takes a tenth of the time. */
const inForms = /[?&;]|:\/|ik_|ey|(?:bearer|basic|digest) /i;

/** Letters, digits and hyphens: each form above needs another character than these. */
const plain = /^[\dA-Za-z-]*$/;

/** Whether no secret has the form of the text, and nothing in it needs an escape: ids, mostly. */
export const isPlain = (text: string): boolean => plain.test(text);

const maxDepth = 8;

/**
 * A copy without secrets; the value itself where there are none to be found in its kind.
 *
 * @example
 * redact({ email, password }); // { email, password: "[redacted]" }
 */
export function redact<Value>(value: Value): Value {
  // Each kind of value gives one of the same kind; texts take the place of texts.
  return clean(value, 0) as Value;
}

/** By name: few are in use. */
const verdicts = new Map<string, boolean>();
const maxVerdicts = 1_000;

/** @returns whether a field of this name is left out. */
function isSecretName(name: string): boolean {
  const known = verdicts.get(name);
  if (known !== undefined) return known;
  const verdict = secretName.test(name) && !harmlessName.test(name);
  if (verdicts.size < maxVerdicts && name.length < 64) verdicts.set(name, verdict);
  return verdict;
}

/** A secret that begins in what is kept is recognised by what follows, as far as this. */
const lookAhead = 4_096;

/**
 * Text without what has the form of a secret.
 *
 * @param longest of how many UTF-16 code units it is kept. A secret that this would cut in two, so that
 *   its beginning would no longer be known for one, is left out as others are.
 */
export function redactText(text: string, longest = text.length): string {
  if (text.length >= 8) {
    const looked = text.length > longest + lookAhead ? text.slice(0, longest + lookAhead) : text;
    const spans = inForms.test(looked) ? secretsIn(looked) : [];
    if (spans.length > 0) return withoutSpans(beginning(looked, longest), spans);
  }
  return text.length > longest ? beginning(text, longest) : text;
}

/** As `redactText`, for a column of the database, which takes no NUL. */
export const keptText = (text: string, longest: number): string =>
  redactText(text, longest).replaceAll("\0", "").toWellFormed();

type Span = readonly [start: number, end: number];

function secretsIn(text: string): readonly Span[] {
  const spans: Span[] = [];
  for (const form of forms) {
    const { begin, run, least, end } = form;
    begin.lastIndex = 0;
    for (let found = begin.exec(text); found; found = begin.exec(text)) {
      if (form.announces && !form.announces.test(found[0])) continue;
      const start = begin.lastIndex;
      let last = runFrom(run, text, start) ?? start;
      begin.lastIndex = last;
      if (last - start < least) continue;
      if (end) {
        const after = runFrom(end, text, last);
        if (after === undefined) continue;
        last = after;
        begin.lastIndex = last;
      }
      spans.push([form.whole ? found.index : start, last]);
    }
  }
  return spans.sort((a, b) => a[0] - b[0]);
}

/** Where a sticky pattern's match ends. */
function runFrom(pattern: RegExp, text: string, start: number): number | undefined {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

/** @param spans by their starts; those that overlap are one. */
function withoutSpans(text: string, spans: readonly Span[]): string {
  let kept = "";
  let at = 0;
  for (const [start, end] of spans) {
    if (start >= text.length) break;
    if (start >= at) kept += text.slice(at, start) + redacted;
    at = Math.max(at, end);
  }
  return kept + text.slice(at);
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (depth === maxDepth) return redacted;
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  if (value instanceof Uint8Array) return redacted;
  const copy: Record<string, unknown> = { ...value };
  for (const name of Object.keys(copy)) {
    const member = copy[name];
    const isLeftOut =
      isSecretName(name) && member !== null && member !== undefined && typeof member !== "boolean";
    copy[name] = isLeftOut ? redacted : clean(member, depth + 1);
  }
  return copy;
}
