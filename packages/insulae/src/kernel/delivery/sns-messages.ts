/**
 * Messages from Amazon SNS to a subscribed URL. Anybody can send to it, so nothing is trusted
 * before the signature is verified:
 *
 *     our topic? ─► certificate at sns.<the topic's region>.amazonaws.com? ─► valid signature?
 *
 * The certificate's authenticity comes from its location: only Amazon can serve it there over TLS.
 * https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
import { type KeyObject, verify, X509Certificate } from "node:crypto";
import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import { defineError } from "../lib/errors.ts";
import { createLoadingCache } from "../lib/loading-cache.ts";
import type { Outbound } from "../net/outbound.ts";

export const messageRefused = defineError(
  "sns_message_refused",
  403,
  "This is not an authentic message of the configured SNS topic",
);

const Fields = Type.Object({
  Type: Type.Union([
    Type.Literal("Notification"),
    Type.Literal("SubscriptionConfirmation"),
    Type.Literal("UnsubscribeConfirmation"),
  ]),
  MessageId: Type.String(),
  TopicArn: Type.String(),
  Message: Type.String(),
  Timestamp: Type.String(),
  SignatureVersion: Type.Union([Type.Literal("1"), Type.Literal("2")]),
  Signature: Type.String(),
  SigningCertURL: Type.String(),
  Subject: Type.Optional(Type.String()),
  SubscribeURL: Type.Optional(Type.String()),
  Token: Type.Optional(Type.String()),
});
export type SnsMessage = Static<typeof Fields>;

export interface SnsMessages {
  /** @returns the verified message. @throws messageRefused, OutboundError */
  read(text: string): Promise<SnsMessage>;
  /** Confirms the subscription to the topic. @throws messageRefused, OutboundError */
  confirm(message: SnsMessage): Promise<void>;
}

export interface SnsMessagesOptions {
  readonly topicArn: string;
  /** Replaces Amazon's server, for tests. */
  readonly endpoint: string | undefined;
  readonly outbound: Outbound;
  readonly timeoutMs?: number;
}

/** In the order of signing. */
const signed = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: [
    ...["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
  ],
} as const;

const digests = { "1": "sha1", "2": "sha256" } as const;
const maxBytes = 65_536;
/** Amazon has one per region and rotates it occasionally. */
const keptKeys = { max: 16, ttlMs: 3_600_000 };

export function createSnsMessages(options: SnsMessagesOptions): SnsMessages {
  const { topicArn, endpoint, outbound, timeoutMs = 5_000 } = options;
  const keys = createLoadingCache<KeyObject>(keptKeys);
  const [, partition, , region] = topicArn.split(":");
  const host = `sns.${region}.amazonaws.com${partition === "aws-cn" ? ".cn" : ""}`;

  /** Requests a URL named in a message, if it is Amazon's. */
  const ask = (address: string, path: RegExp, statusDecides = false): Promise<Response> => {
    const url = URL.canParse(address) ? new URL(address) : undefined;
    // `origin` includes the port; a URL with user and password is suspicious.
    if (url?.origin !== `https://${host}` || url.username || url.password) throw messageRefused();
    if (!path.test(url.pathname)) throw messageRefused();
    const place = endpoint === undefined ? url : new URL(url.pathname + url.search, endpoint);
    return outbound(place.href, {
      method: "GET",
      headers: {},
      timeoutMs,
      maxBytes,
      statusDecides,
    });
  };

  const keyAt = (address: string) =>
    keys.find(address, async () => {
      const answer = await ask(address, /^\/SimpleNotificationService-\w+\.pem$/);
      if (answer.status !== 200) return undefined;
      const certificate = new X509Certificate(await answer.text());
      const now = new Date();
      const holds = certificate.validFromDate <= now && now <= certificate.validToDate;
      return holds ? certificate.publicKey : undefined;
    });

  return {
    async read(text) {
      const message = parsed(text);
      if (message?.TopicArn !== topicArn) throw messageRefused();
      const key = await keyAt(message.SigningCertURL);
      const signature = Buffer.from(message.Signature, "base64");
      const digest = digests[message.SignatureVersion];
      if (!key || !verify(digest, Buffer.from(signedText(message)), key, signature)) {
        throw messageRefused();
      }
      return message;
    },
    async confirm({ SubscribeURL = "" }) {
      const { status } = await ask(SubscribeURL, /^\/$/, true);
      if (status !== 200)
        throw messageRefused({ detail: "Amazon refused the confirmation of the subscription." });
    },
  };
}

function parsed(text: string): SnsMessage | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return Check(Fields, message) ? message : undefined;
  } catch {
    return undefined;
  }
}

/** The signed text: each present field on two lines. */
function signedText(message: SnsMessage): string {
  const names =
    signed[message.Type === "Notification" ? "Notification" : "SubscriptionConfirmation"];
  const there = names.filter((name) => message[name] !== undefined);
  return there.map((name) => `${name}\n${message[name]}\n`).join("");
}
