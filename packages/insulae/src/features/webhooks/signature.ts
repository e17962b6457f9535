/**
 * Signatures as in Standard Webhooks 1.0.0
 * (https://github.com/standard-webhooks/standard-webhooks): HMAC-SHA-256 over id, time and body, so
 * that nobody can forge a request or replay an old one. While a secret is being replaced, both
 * sign.
 */
import { createHmac, randomBytes } from "node:crypto";

const prefix = "whsec_";

/** A new secret in the format that receivers configure. */
export const newSecret = (): string => `${prefix}${randomBytes(32).toString("base64")}`;

export interface Message {
  /** The event's id, the same for every attempt. */
  readonly id: string;
  readonly payload: string;
}

/**
 * The headers by which a receiver authenticates the message.
 *
 * @param at the time of sending; receivers refuse messages that are more than a few minutes old
 */
export function signedHeaders(
  { id, payload }: Message,
  secrets: readonly string[],
  at: Date,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(prefix.length), "base64");
    const signed = createHmac("sha256", key).update(`${id}.${timestamp}.${payload}`);
    return `v1,${signed.digest("base64")}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}
