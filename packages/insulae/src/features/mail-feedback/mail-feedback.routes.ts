import {
  createSnsMessages,
  messageRefused,
  type SnsMessages,
} from "../../kernel/delivery/sns-messages.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { bytesBody } from "../../kernel/http/body/stream-body.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { bodyTooLarge, notFound } from "../../kernel/lib/http-errors.ts";
import { OutboundError } from "../../kernel/net/outbound.ts";
import { noteFeedback, readFeedback } from "./mail-feedback.service.ts";

const amazonUnreachable = defineError(
  "sns_unreachable",
  503,
  "The certificate could not be fetched from Amazon. Send the message again.",
);

/** An SNS message has at most 262,144 bytes; encoded as JSON inside JSON it grows. */
const maxBytes = 1_048_576;

export const mailFeedbackRoutes = (r: RouteBuilder<Record<never, never>>) => {
  let messages: SnsMessages | undefined;
  const messagesOf = ({ config, outbound }: Platform): SnsMessages => {
    const { feedbackTopicArn: topicArn } = config.sns;
    if (topicArn === undefined) throw notFound();
    messages ??= createSnsMessages({ topicArn, endpoint: config.aws.endpoint, outbound });
    return messages;
  };

  return [
    r.post(
      "/notifications/feedback/sns",
      {
        permission: "public",
        context: "core",
        audit: { none: "the caller is Amazon, and the notification history records the outcome" },
        summary: "Receives Amazon SES's bounce and complaint reports",
        description:
          "Accepts signed messages of the SNS topic `SES_FEEDBACK_TOPIC_ARN`; without that setting the route does not exist. Confirms subscriptions. Repeated reports have no further effect.",
        body: bytesBody({ maxBytes, type: "text/plain" }),
        response: { 204: null },
        errors: [messageRefused, amazonUnreachable, notFound, bodyTooLarge],
      },
      async ({ platform, body, log }) => {
        const sns = messagesOf(platform);
        const chunks: Uint8Array[] = [];
        for await (const chunk of body.bytes) chunks.push(chunk);
        try {
          const message = await sns.read(Buffer.concat(chunks).toString("utf8"));
          if (message.Type === "SubscriptionConfirmation") await sns.confirm(message);
          if (message.Type !== "Notification") {
            log.warn(
              { sns_message: message.Type },
              "SNS sent a subscription message for the feedback topic",
            );
            return;
          }
          const feedback = readFeedback(message.Message);
          if (feedback) await noteFeedback(platform, feedback);
        } catch (error) {
          if (!(error instanceof OutboundError)) throw error;
          throw amazonUnreachable({ cause: error });
        }
      },
    ),
  ];
};
