/** The one form of a recipient: as it is stored, compared, suppressed and looked for. */
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import type { Channel } from "./notifications.tables.ts";

/** Blanks, hyphens and marks of direction, also as pages and address books show them. */
const separators = /[ \u00a0\u2009\u202f\u2010-\u2013\u202a-\u202c./-]/g;
/** Dialled within the country only: `+49 (0)30 1234567`. */
const trunkZero = /^(\+\d{1,3})\(0\)/;

/**
 * @returns undefined if the channel can't write to it.
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
      // A user's id, for all their browsers; or a device's token, in which case counts.
      if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) return given.toLowerCase();
      return /^[\w:.=+/-]{8,4096}$/.test(given) ? given : undefined;
  }
}

const channels: readonly Channel[] = ["email", "sms", "push"];

/** What somebody who looks for a recipient may mean: its form in this channel, or in each. */
export const recipientsMeant = (channel: Channel | undefined, given: string): string[] =>
  (channel ? [channel] : channels).flatMap((one) => findCanonicalRecipient(one, given) ?? []);
