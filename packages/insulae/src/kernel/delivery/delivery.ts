/**
 * Delivery of e-mails, text messages and push messages. The sender (mail queue, notification job)
 * composes messages and retries; a driver knows one way to deliver them.
 *
 *     mail ──► smtp · ses · sns topic ──┐
 *     sms  ──► sns ─────────────────────┼──► or captured: kept in control.captured_messages
 *     push ──► Web Push · sns ──────────┘
 *
 * Drivers with large dependencies load them with the first message.
 */

import type { Kysely } from "kysely";
import type { Config } from "../../config/config.ts";
import type { Secrets } from "../lib/secrets.ts";
import { createOutbound } from "../net/outbound.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { captureMessages } from "./capture.ts";
import { type Delivery, type OutgoingMail, Undeliverable } from "./message.ts";
import { sesDriver } from "./ses.ts";
import { smtpDriver } from "./smtp.ts";
import { snsDriver } from "./sns.ts";
import { createVapid, webPushDriver } from "./web-push.ts";

export interface DeliveryOptions {
  readonly config: Config;
  readonly control: Kysely<ControlTables>;
  readonly secrets: Secrets;
  readonly log: Logger;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { config, control, secrets } = options;
  const capture = captureMessages(control);
  const sns = snsDriver(config.aws, config.sns);
  const vapid = createVapid(secrets);
  const webPush = webPushDriver({
    vapid,
    contact: `mailto:${config.supportEmail ?? config.fromEmail}`,
    outbound: createOutbound({ allowLoopback: config.env !== "production" }),
  });
  const mails = mailDriver(options, capture.mail, sns.mail);
  return {
    mail: mails.deliver,
    text: { sns: sns.text, capture: capture.text, none: refuseText }[config.sms ?? "none"],
    push:
      config.push === "capture"
        ? capture.push
        : (push) =>
            typeof push.to === "string"
              ? sns.push({ ...push, to: push.to })
              : webPush({ ...push, to: push.to }),
    vapidPublicKey: vapid.publicKey,
    async close() {
      mails.close();
      sns.close();
    },
  };
}

function mailDriver(
  { config, control, log }: DeliveryOptions,
  capture: Delivery["mail"],
  topic: Delivery["mail"],
) {
  const { mail, smtp, fromEmail, aws } = config;
  if (mail === "smtp" && smtp) return smtpDriver(smtp, fromEmail);
  const note = noteHandedOver(control, log);
  if (mail === "ses") {
    return sesDriver(aws, fromEmail, config.sns.feedbackTopicArn === undefined ? undefined : note);
  }
  return { deliver: mail === "sns" ? topic : capture, close() {} };
}

/**
 * Records the hand-over, so that bounce reports can be attributed. Failing to record it does not
 * fail the delivery.
 */
const noteHandedOver =
  (control: Kysely<ControlTables>, log: Logger) =>
  async (providerId: string, { id, tenant }: OutgoingMail): Promise<void> => {
    await control
      .insertInto("control.handed_over_mails")
      .values({ provider_id: providerId, mail_id: id, tenant_id: tenant?.id ?? null })
      .execute()
      .catch((error) =>
        log.warn(
          { err: error, mail_id: id },
          "Could not record an e-mail's hand-over; its bounces will be ignored",
        ),
      );
  };

const refuseText: Delivery["text"] = async () => {
  throw new Undeliverable("text messages can't be sent; configure SMS");
};
