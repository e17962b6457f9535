/** The messages that drivers deliver, and the error by which they refuse one. */
import type { Tenant } from "../model/tenant.ts";

/**
 * Each resolves once another system is responsible for the message.
 *
 * @throws Undeliverable if retrying is pointless
 */
export interface Delivery {
  readonly mail: (mail: OutgoingMail) => Promise<void>;
  readonly text: (text: OutgoingText) => Promise<void>;
  readonly push: (push: OutgoingPush) => Promise<void>;
  /**
   * The key for browsers' subscriptions, so that only this installation can push to them (RFC
   * 8292).
   */
  readonly vapidPublicKey: string;
  readonly close: () => Promise<void>;
}

interface Outgoing {
  /** The message's id, the same on every retry. */
  readonly id: string;
  /** The tenant that sends it; undefined: the platform. */
  readonly tenant: Pick<Tenant, "id"> | undefined;
  /** The name of its template. */
  readonly template: string | undefined;
}

export interface OutgoingMail extends Outgoing {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface OutgoingText extends Outgoing {
  /** A telephone number in E.164 format: `+41791234567`. */
  readonly to: string;
  readonly text: string;
}

/** A browser's push subscription (W3C Push API). */
export interface PushSubscription {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

export interface OutgoingPush extends Outgoing {
  /** A device token or a browser's subscription. */
  readonly to: string | PushSubscription;
  readonly title: string;
  readonly text: string;
  readonly urgency: "low" | "normal" | "high";
}

/** The receiving service refused the message permanently. */
export class Undeliverable extends Error {
  /** The recipient does not exist (any more); don't send to it again. */
  readonly noSuchRecipient: boolean;

  constructor(
    message: string,
    { noSuchRecipient = false, ...options }: ErrorOptions & { noSuchRecipient?: boolean } = {},
  ) {
    super(message, options);
    this.noSuchRecipient = noSuchRecipient;
  }
}
