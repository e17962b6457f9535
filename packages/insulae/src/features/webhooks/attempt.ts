/** One request to a receiver, and what came of it. */

import type { TenantSecrets } from "../../kernel/lib/secrets.ts";
import { beginning } from "../../kernel/lib/text.ts";
import { type Outbound, OutboundError, type OutboundFailure } from "../../kernel/net/outbound.ts";
import { type Message, signedHeaders } from "./signature.ts";
import type { Attempt, EndpointRow } from "./webhooks.queries.ts";

/** What a secret is sealed for. */
export const secretPurpose = "webhook";

/** Receivers answer first and work afterwards. */
const timeoutMs = 15_000;
/** How much of an answer is kept. */
const excerptBytes = 1_024;

export interface AttemptSetting {
  readonly outbound: Outbound;
  readonly secrets: TenantSecrets;
  /** Aborts where there is no time left for it; then it is no attempt. */
  readonly signal?: AbortSignal;
}

const reasons: Readonly<Record<OutboundFailure, string>> = {
  // No more: whoever configures webhooks must not find out what is in our network.
  address_refused: "The URL does not lead to a public address over https",
  unreachable: "No connection, or it was broken off",
  timeout: `No answer within ${timeoutMs / 1000} seconds`,
  too_large: "The answer was too large",
  not_http: "The answer was none to a request by HTTP",
};

/** Sends the message. It never throws because of the receiver. */
export async function attempt(
  { outbound, secrets, signal }: AttemptSetting,
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
  if (status === 410) return "The receiver answered 410: it wants to hear no more";
  if (status >= 300 && status < 400)
    return "The receiver answered with a redirect: none is followed";
  return `The receiver answered ${status}`;
}
