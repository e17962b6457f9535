/** Sends e-mail through Amazon SES (API version 2). */
import type { SESv2Client } from "@aws-sdk/client-sesv2";
import type { AwsSettings } from "../../config/channels.ts";
import { clientOptions, failureOf, handOver } from "./aws.ts";
import type { OutgoingMail } from "./message.ts";
import { subjectHeader } from "./subject.ts";

/**
 * @param from the sender's address
 * @param taken receives SES's id of a mail, which its reports refer to
 */
export function sesDriver(
  aws: AwsSettings,
  from: string,
  taken?: (providerId: string, mail: OutgoingMail) => Promise<void>,
  timeoutMs?: number,
) {
  let loading: Promise<{
    client: SESv2Client;
    send: (mail: OutgoingMail) => Promise<{ MessageId?: string | undefined } | undefined>;
  }>;
  const load = async () => {
    const { SESv2Client, SendEmailCommand } = await import("@aws-sdk/client-sesv2");
    const client = new SESv2Client(clientOptions(aws, aws.region));
    const utf8 = (Data: string) => ({ Data, Charset: "UTF-8" });
    return {
      client,
      send: ({ id, tenant, to, subject, text, html }: OutgoingMail) =>
        handOver(
          new SendEmailCommand({
            FromEmailAddress: from,
            Destination: { ToAddresses: [to] },
            Content: {
              Simple: {
                Subject: utf8(subjectHeader(subject)),
                Body: { Text: utf8(text), Html: utf8(html) },
                Headers: [{ Name: "Auto-Submitted", Value: "auto-generated" }],
              },
            },
            // SES's events return these tags, which identify the bounced mail and its tenant.
            EmailTags: [
              { Name: "message_id", Value: id },
              ...(tenant ? [{ Name: "tenant_id", Value: tenant.id }] : []),
            ],
          }),
          (command, options) => client.send(command, options),
          timeoutMs,
        ),
    };
  };
  return {
    async deliver(mail: OutgoingMail): Promise<void> {
      loading ??= load();
      const { send } = await loading;
      const answer = await send(mail).catch((error: unknown) => {
        throw failureOf(error);
      });
      const id = answer?.MessageId;
      if (id !== undefined) await taken?.(id, mail);
    },
    close() {
      loading?.then(
        ({ client }) => client.destroy(),
        () => {},
      );
    },
  };
}
