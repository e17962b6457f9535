/**
 * Web Push (RFC 8030). A message is encrypted for one browser (RFC 8291) and sent to the push
 * service that the browser named, with a token that identifies us (RFC 8292). The client chooses
 * that URL, so requests to it go through `outbound.ts`.
 */
import { createECDH } from "node:crypto";
import type { Secrets } from "../lib/secrets.ts";
import { type Outbound, OutboundError, type OutboundFailure } from "../net/outbound.ts";
import { type OutgoingPush, type PushSubscription, Undeliverable } from "./message.ts";

interface Vapid {
  readonly publicKey: string;
  readonly privateKey: string;
}

/**
 * The installation's key, derived from the master secret: the same on every node, and stored
 * nowhere.
 */
export function createVapid(secrets: Secrets): Vapid {
  const curve = createECDH("prime256v1");
  // 32 bytes are outside the curve's range once in 2^32; then try the next ones.
  for (let attempt = 0; ; attempt++) {
    try {
      curve.setPrivateKey(secrets.derive(`vapid:${attempt}`, 32));
      break;
    } catch {}
  }
  return {
    publicKey: curve.getPublicKey("base64url"),
    privateKey: curve.getPrivateKey().toString("base64url").padStart(43, "A"),
  };
}

export interface WebPushOptions {
  readonly vapid: Vapid;
  /** The contact for the push service: `mailto:…`. */
  readonly contact: string;
  readonly outbound: Outbound;
  readonly timeoutMs?: number;
}

/** The errors in a notification's history. */
const reasons: Readonly<Record<OutboundFailure, string>> = {
  address_refused: "the subscription's URL does not lead to a public address over HTTPS",
  unreachable: "the push service could not be reached, or interrupted the connection",
  timeout: "the push service did not respond in time",
  too_large: "the push service's response was too large",
  not_http: "the push service's response was not valid HTTP",
};

/** How long a push service keeps a message for an offline browser. */
const ttlSeconds = 86_400;

export function webPushDriver(options: WebPushOptions) {
  const { vapid, contact, outbound, timeoutMs = 15_000 } = options;
  return async (push: OutgoingPush & { readonly to: PushSubscription }): Promise<void> => {
    // The package is CommonJS; what it exports is its default.
    const { default: webPush } = await import("web-push");
    const { endpoint, keys } = push.to;
    const request = encrypted(() =>
      webPush.generateRequestDetails(
        { endpoint, keys },
        JSON.stringify({ id: push.id, title: push.title, body: push.text }),
        {
          vapidDetails: { subject: contact, ...vapid },
          TTL: ttlSeconds,
          urgency: push.urgency,
          contentEncoding: "aes128gcm",
        },
      ),
    );
    const answer = await outbound(endpoint, {
      method: "POST",
      headers: Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      ),
      body: request.body,
      timeoutMs,
      maxBytes: 1_024,
      statusDecides: true,
    }).catch((cause: unknown) => {
      if (!(cause instanceof OutboundError)) throw cause;
      const message = reasons[cause.failure];
      throw cause.failure === "address_refused"
        ? new Undeliverable(message, { cause, noSuchRecipient: true })
        : new Error(message, { cause });
    });
    if (answer.ok) return;
    const message = `the push service answered ${answer.status}`;
    // Gone or never existed. Other client errors, such as 400 and 413, won't change on retry
    // either.
    if (answer.status === 404 || answer.status === 410) {
      throw new Undeliverable(message, { noSuchRecipient: true });
    }
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
      throw new Undeliverable(message);
    }
    throw new Error(message);
  };
}

/** Fails for keys that no browser generated. */
function encrypted<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Undeliverable("the subscription's keys are invalid", {
      cause: error,
      noSuchRecipient: true,
    });
  }
}
