/**
 * The string formats for schemas. Whatever they accept is accepted by everything behind them:
 * PostgreSQL, JavaScript's `Date`, the mail drivers. Each checks the length first.
 */
import { isIPv4, isIPv6 } from "node:net";
import { nameProblem } from "../lib/text.ts";
import { isDomain } from "../net/hostname.ts";
import { findCanonicalEmail } from "./email.ts";

interface StringFormat {
  readonly check: (text: string) => boolean;
  /** The requirement, for whoever sent an invalid text. */
  readonly message: string | ((text: string) => string);
}

// RFC 9562, without the prefix `urn:uuid:`, which PostgreSQL does not accept.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * RFC 3339, 5.6, with up to nine fractional digits. Leap seconds are refused: they can't be stored.
 */
const fullDate = /^(\d{4})-(\d\d)-(\d\d)$/;
const fullTime =
  /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,9}))?(?:z|[+-](?:0\d|1[0-5]):[0-5]\d)$/i;

/** PostgreSQL's first year is 1; the last with four digits is 9999. */
const firstInstant = Date.parse("0001-01-01T00:00:00Z");
const afterLastInstant = Date.parse("+010000-01-01T00:00:00Z");

function isDate(text: string): boolean {
  const [, year, month, day] = fullDate.exec(text) ?? [];
  if (year === undefined || year === "0000") return false;
  const date = new Date(`${text}T00:00:00Z`);
  // The 30th of February would become a day in March.
  return date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
}

function isDateTime(text: string): boolean {
  if (text.length > 40 || text.charAt(10).toUpperCase() !== "T") return false;
  const found = fullTime.exec(text.slice(11));
  if (!found || !isDate(text.slice(0, 10))) return false;
  // PostgreSQL rounds to microseconds, so the last instant of the year 9999 may become the year
  // 10000.
  const carry = Number(`0.${found[2] ?? "0"}`)
    .toFixed(6)
    .startsWith("1")
    ? 1_000
    : 0;
  const instant = Date.parse(text.replace(/\.\d+/, "")) + carry;
  return instant >= firstInstant && instant < afterLastInstant;
}

/**
 * RFC 3986: printable ASCII without characters that must be escaped, and accepted by WHATWG's
 * parser too.
 */
const uriText = /^[a-z][a-z0-9+.-]*:(?:[!#$&-;=?-[\]_a-z~]|%[0-9a-f]{2})*$/i;

const email: StringFormat = {
  check: (text) => text === text.trim() && findCanonicalEmail(text) !== undefined,
  message: "must be an e-mail address",
};

export const stringFormats: Readonly<Record<string, StringFormat>> = {
  uuid: {
    check: (text) => text.length === 36 && uuid.test(text),
    message: "must be a UUID",
  },
  email,
  name: {
    check: (text) => nameProblem(text) === undefined,
    message: (text) => nameProblem(text) ?? "must be a name",
  },
  // The name that tells readers of the OpenAPI document to expect letters of any script (RFC 6531).
  "idn-email": email,
  "date-time": {
    check: isDateTime,
    message:
      "must be a date and time with offset as in RFC 3339 (2026-01-31T12:00:00Z), in the years 0001 to 9999, without leap seconds",
  },
  date: {
    check: (text) => text.length === 10 && isDate(text),
    message: "must be a date as in RFC 3339: 2026-01-31",
  },
  time: {
    check: (text) => text.length <= 24 && fullTime.test(text),
    message: "must be a time with offset as in RFC 3339: 12:00:00Z",
  },
  uri: {
    check: (text) => text.length <= 2_000 && uriText.test(text) && URL.canParse(text),
    message: "must be a URL in ASCII of at most 2,000 characters",
  },
  hostname: {
    check: (text) => isDomain(text.toLowerCase()),
    message: "must be a host name in ASCII",
  },
  ipv4: { check: isIPv4, message: "must be an IPv4 address" },
  // Without a zone (`%eth0`), which PostgreSQL does not accept.
  ipv6: {
    check: (text) => text.length <= 45 && !text.includes("%") && isIPv6(text),
    message: "must be an IPv6 address",
  },
};

/** In the form that Ajv expects. */
export const formatChecks: Readonly<Record<string, StringFormat["check"]>> = Object.fromEntries(
  Object.entries(stringFormats).map(([name, { check }]) => [name, check]),
);
