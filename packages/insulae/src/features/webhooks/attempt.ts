/** Sends one request to a receiver and interprets the response. */

import type { TenantSecrets } from "../../kernel/lib/secrets.ts";
import { beginning } from "../../kernel/lib/text.ts";
import { type Outbound, OutboundError, type OutboundFailure } from "../../kernel/net/outbound.ts";
import { type Message, signedHeaders } from "./signature.ts";
import type { Attempt, EndpointRow } from "./webhooks.queries.ts";

/** The purpose under which webhook secrets are encrypted. */
export const secretPurpose = "webhook";

/** Receivers should respond first and process afterwards. */
const timeoutMs = 15_000;
/** How much of a response is stored, in bytes. */
const excerptBytes = 1_024;

export interface AttemptDeps {
  readonly outbound: Outbound;
  readonly secrets: TenantSecrets;
  /** Aborted when time runs out; the request then does not count as an attempt. */
  readonly signal?: AbortSignal;
}

const reasons: Readonly<Record<OutboundFailure, string>> = {
  // Deliberately vague: webhooks must not reveal what is in our network.
  address_refused: "The URL does not lead to a public address over HTTPS",
  unreachable: "The connection failed or was interrupted",
  timeout: `No response within ${timeoutMs / 1000} seconds`,
  too_large: "The response was too large",
  not_http: "The response was not valid HTTP",
};

/** Sends the message. Never throws because of the receiver. */
export async function attempt(
  { outbound, secrets, signal }: AttemptDeps,
  { url, sealed_secret, previous_sealed_secret }: EndpointRow,
  message: Message,
): Promise<Attempt> {
  const sealed = [sealed_secret, ...(previous_sealed_secret ? [previous_sealed_secret] : [])];
  const keys = sealed.map((each) => secrets.open(secretPurpose, each));
  try {
    const answer = await outbound(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "Insulae-Webhooks",
        ...signedHeaders(message, keys, new Date()),
      },
      body: message.payload,
      timeoutMs,
      maxBytes: excerptBytes,
      statusDecides: true,
      signal,
    });
    const { status } = answer;
    const excerpt = beginning((await answer.text()).replaceAll("\0", ""), excerptBytes);
    return { outcome: outcomeOf(status), status, excerpt, reason: reasonOf(status) };
  } catch (error) {
    if (!(error instanceof OutboundError) || signal?.aborted) throw error;
    return { outcome: "failed", status: null, excerpt: null, reason: reasons[error.failure] };
  }
}

function outcomeOf(status: number): Attempt["outcome"] {
  if (status >= 200 && status < 300) return "delivered";
  return status === 410 ? "gone" : "failed";
}

function reasonOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status === 410) return "The receiver answered 410 (Gone) and wants no more events";
  if (status >= 300 && status < 400)
    return "The receiver answered with a redirect; redirects are not followed";
  return `The receiver answered ${status}`;
}
