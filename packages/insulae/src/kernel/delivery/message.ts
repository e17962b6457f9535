/** What drivers are given, and how they refuse it. */
import type { Tenant } from "../tenancy/tenant.ts";

/**
 * Each resolves once somebody else is responsible for the message.
 *
 * @throws Undeliverable where trying again makes no sense.
 */
export interface Delivery {
  readonly mail: (mail: OutgoingMail) => Promise<void>;
  readonly text: (text: OutgoingText) => Promise<void>;
  readonly push: (push: OutgoingPush) => Promise<void>;
  /** With what browsers subscribe, so that only this installation can push to them (RFC 8292). */
  readonly vapidPublicKey: string;
  readonly close: () => Promise<void>;
}

interface Outgoing {
  /** Names the message; the same when it is sent again. */
  readonly id: string;
  /** Whose it is; undefined: the platform's. */
  readonly tenant: Pick<Tenant, "id"> | undefined;
  /** What it was made from. */
  readonly template: string | undefined;
}

export interface OutgoingMail extends Outgoing {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface OutgoingText extends Outgoing {
  /** A telephone number, as E.164 has it: `+41791234567`. */
  readonly to: string;
  readonly text: string;
}

/** What a browser gave when it agreed to be pushed to (W3C Push API). */
export interface PushSubscription {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

export interface OutgoingPush extends Outgoing {
  /** A device's token, or a browser. */
  readonly to: string | PushSubscription;
  readonly title: string;
  readonly text: string;
  readonly urgency: "low" | "normal" | "high";
}

/** The other side refused the message for good. */
export class Undeliverable extends Error {
  /** There is nobody at that address (any more): it isn't to be written to again. */
  readonly noSuchRecipient: boolean;

  constructor(
    message: string,
    { noSuchRecipient = false, ...options }: ErrorOptions & { noSuchRecipient?: boolean } = {},
  ) {
    super(message, options);
    this.noSuchRecipient = noSuchRecipient;
  }
}
