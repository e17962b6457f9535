/**
 * The string formats that schemas may name. Each has a greatest length, checked first, so that no
 * pattern, however unlucky, sees a long text.
 */
import ajvFormats from "ajv-formats";

// The package is CommonJS; its default export is what `get` hangs on.
const { get } = ajvFormats.default;

type Check = (text: string) => boolean;

// RFC 9562 without the `urn:uuid:` that ajv-formats also takes and PostgreSQL does not.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const stringFormats: Readonly<Record<string, Check>> = {
  uuid: (text) => text.length === 36 && uuid.test(text),
  email: bounded("email", 254),
  "date-time": bounded("date-time", 64),
  date: bounded("date", 10),
  time: bounded("time", 32),
  uri: bounded("uri", 2_000),
  hostname: bounded("hostname", 253),
  ipv4: bounded("ipv4", 15),
  ipv6: bounded("ipv6", 45),
};

function bounded(
  name: "email" | "date-time" | "date" | "time" | "uri" | "hostname" | "ipv4" | "ipv6",
  longest: number,
): Check {
  const format = get(name);
  const check = typeof format === "object" && "validate" in format ? format.validate : format;
  return (text) => text.length <= longest && matches(check, text);
}

function matches(check: unknown, text: string): boolean {
  if (check instanceof RegExp) return check.test(text);
  if (typeof check === "function") return check(text) === true;
  throw new Error("a format is neither a pattern nor a function");
}
