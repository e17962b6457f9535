/**
 * Takes secrets out of what is about to be kept: log lines and audit entries. By the name of the field
 * that holds them, and, in any text, by their form. It is the second line of defence: the first is
 * that nobody logs them.
 */

const redacted = "[redacted]";

const secretName =
  /pass(word|wd|phrase|code)|secret|token|cookie|authorization|credential|signature|private|api[-_]?key|^(code|otp|totp|state|nonce|verifier|assertion|hash)$/i;

/** Names that only sound like it. */
const harmlessName = /(_id|_ids|_at|_count|_kind|_type|_seconds|_ms|_days|has_[a-z_]+)$/i;

/** What secrets look like, and what is left of them: the group `keep`. */
const secretForms =
  /(?<keep>\b(?:bearer|basic|digest) +)[\w+/=.~-]{6,}|\bik_[\w-]{20,}|\bey[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*){0,3}|(?<scheme>\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s@]+(?=@)|(?<name>[?&;](?:[\w.-]*(?:token|secret|signature|password|credential|key|code|sig|state)[\w.-]*)=)[^&#\s"']+/gi;

/** What is in each of these forms, and in few texts: looked for first, as it takes a tenth of the time. */
const inSecretForms = /[ ?&;]|:\/|ik_|ey/i;

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

/** Text without what has the form of a secret. */
export const redactText = (text: string): string =>
  text.length < 8 || !inSecretForms.test(text)
    ? text
    : text.replaceAll(secretForms, (...found) => {
        const groups = found.at(-1) as Partial<Record<"keep" | "scheme" | "name", string>>; // named groups are there, so the last argument holds them
        return `${groups.keep ?? groups.scheme ?? groups.name ?? ""}${redacted}`;
      });

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
