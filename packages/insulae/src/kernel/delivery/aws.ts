import type { AwsSettings } from "../../config.channels.ts";
import { Undeliverable } from "./message.ts";

/** What each client of Amazon's services gets. Trying again is the sender's business. */
export const clientOptions = (
  { endpoint, credentials }: AwsSettings,
  region: string | undefined,
) => ({
  ...(region !== undefined && { region }),
  ...(endpoint !== undefined && { endpoint }),
  ...(credentials && { credentials }),
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 10_000, requestTimeout: 30_000 },
});

/** What Amazon will refuse again, however often it is asked. */
const finalErrors = new Set([
  "MessageRejected",
  "BadRequestException",
  "InvalidParameter",
  "InvalidParameterException",
  "InvalidParameterValueException",
  "OptedOutException",
  "OptedOut",
  "EndpointDisabled",
  "EndpointDisabledException",
]);

/**
 * A device whose endpoint was switched off, because it is gone, is found as one with other attributes.
 * An identity that is not verified yet is for somebody to put right, and says so in a rejection.
 */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof Error) || !finalErrors.has(error.name)) return error;
  if (/not verified/i.test(error.message)) return error;
  return new Undeliverable(`${error.name}: ${error.message}`, {
    cause: error,
    noSuchRecipient:
      /^OptedOut|^EndpointDisabled/.test(error.name) ||
      /opted out|different attributes/i.test(error.message),
  });
}
