/**
 * The canonical form of a recipient, in which it is stored, compared, suppressed and searched for.
 */
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import type { Channel } from "./notifications.tables.ts";

/**
 * Blanks, hyphens and directional marks, including the Unicode ones that web pages and address
 * books use.
 */
const separators = /[ \u00a0\u2009\u202f\u2010-\u2013\u202a-\u202c./-]/g;
/** A trunk prefix, dialled only within the country: `+49 (0)30 1234567`. */
const trunkZero = /^(\+\d{1,3})\(0\)/;

/**
 * @returns undefined if it is not a recipient of this channel
 * @example findCanonicalRecipient("sms", "+41 79 123 45 67") === "+41791234567"
 */
export function findCanonicalRecipient(channel: Channel, given: string): string | undefined {
  switch (channel) {
    case "email":
      return findCanonicalEmail(given);
    case "sms": {
      if (given.length > 40) return undefined;
      const number = given.replaceAll(separators, "").replace(trunkZero, "$1");
      const digits = number.replaceAll(/[()]/g, "");
      return /^\+[1-9]\d{6,14}$/.test(digits) ? digits : undefined;
    }
    case "push":
      // A user's id (all their browsers) ignores case; a device token is case-sensitive.
      if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) return given.toLowerCase();
      return /^[\w:.=+/-]{8,4096}$/.test(given) ? given : undefined;
  }
}

const channels: readonly Channel[] = ["email", "sms", "push"];

/** The recipients that a search text may mean: its canonical form in this channel, or in each. */
export const recipientsMeant = (channel: Channel | undefined, given: string): string[] =>
  (channel ? [channel] : channels).flatMap((one) => findCanonicalRecipient(one, given) ?? []);
