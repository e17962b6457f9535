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

/** @returns whether a field of this name is left out. */
const isSecretName = (name: string): boolean => secretName.test(name) && !harmlessName.test(name);

/** Text without what has the form of a secret. */
export const redactText = (text: string): string =>
  text.length < 8
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
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      isSecretName(name) && member !== null && member !== undefined && typeof member !== "boolean"
        ? redacted
        : clean(member, depth + 1),
    ]),
  );
}
