/**
 * Sends text messages and pushes to devices through Amazon SNS, and messages of all kinds to a
 * topic whose subscriber delivers them.
 */
import type { PublishCommandInput, SNSClient } from "@aws-sdk/client-sns";
import type { AwsSettings, SnsSettings } from "../../config/channels.ts";
import { clientOptions, failureOf, handOver, sendCommand } from "./aws.ts";
import {
  type OutgoingMail,
  type OutgoingPush,
  type OutgoingText,
  Undeliverable,
} from "./message.ts";

interface Sns {
  readonly publish: (message: PublishCommandInput) => Promise<unknown>;
  /** The endpoint of a device of an application; always the same for the same device. */
  readonly endpointOf: (application: string, token: string) => Promise<string>;
}

export function snsDriver(aws: AwsSettings, topics: SnsSettings, timeoutMs?: number) {
  let client: SNSClient | undefined;
  let loading: Promise<Sns>;
  const load = async (): Promise<Sns> => {
    const { CreatePlatformEndpointCommand, PublishCommand, SNSClient } = await import(
      "@aws-sdk/client-sns"
    );
    const sns = new SNSClient(clientOptions(aws, topics.region));
    client = sns;
    return {
      publish: (message) =>
        handOver(
          new PublishCommand(message),
          (command, options) => sns.send(command, options),
          timeoutMs,
        ),
      endpointOf: async (PlatformApplicationArn, Token) => {
        const { EndpointArn } = await sendCommand(
          new CreatePlatformEndpointCommand({ PlatformApplicationArn, Token }),
          (command, options) => sns.send(command, options),
          timeoutMs,
        );
        if (EndpointArn === undefined) throw new Error("SNS returned no endpoint for the device");
        return EndpointArn;
      },
    };
  };
  const withSns = async (work: (sns: Sns) => Promise<unknown>): Promise<void> => {
    loading ??= load();
    const sns = await loading;
    try {
      await work(sns);
    } catch (error) {
      throw failureOf(error);
    }
  };
  const toTopic = (
    TopicArn: string,
    channel: string,
    { tenant, ...message }: OutgoingMail | OutgoingText | OutgoingPush,
  ) =>
    withSns(({ publish }) =>
      publish({
        TopicArn,
        Message: JSON.stringify({ channel, tenant_id: tenant?.id ?? null, ...message }),
        MessageAttributes: { channel: { DataType: "String", StringValue: channel } },
      }),
    );

  return {
    async mail(mail: OutgoingMail): Promise<void> {
      await toTopic(topics.emailTopicArn ?? "", "email", mail);
    },
    async text(text: OutgoingText): Promise<void> {
      if (topics.smsTopicArn) return toTopic(topics.smsTopicArn, "sms", text);
      await withSns(({ publish }) =>
        publish({
          PhoneNumber: text.to,
          Message: text.text,
          MessageAttributes: {
            "AWS.SNS.SMS.SMSType": { DataType: "String", StringValue: "Transactional" },
          },
        }),
      );
    },
    async push(push: OutgoingPush & { readonly to: string }): Promise<void> {
      const { pushArn } = topics;
      if (!pushArn) {
        throw new Undeliverable("devices can't be reached: see the setting SNS_PUSH_TOPIC_ARN");
      }
      if (!pushArn.includes(":app/")) return toTopic(pushArn, "push", push);
      await withSns(async ({ publish, endpointOf }) => {
        const TargetArn = await endpointOf(pushArn, push.to);
        await publish({ TargetArn, MessageStructure: "json", Message: forDevices(push) });
      });
    },
    close() {
      client?.destroy();
    },
  };
}

/** One message in the formats of the services that SNS forwards it to. */
function forDevices({ title, text, urgency }: OutgoingPush): string {
  const apple = JSON.stringify({ aps: { alert: { title, body: text } } });
  const google = {
    notification: { title, body: text },
    android: { priority: urgency === "high" ? "high" : "normal" },
  };
  return JSON.stringify({
    default: text,
    APNS: apple,
    APNS_SANDBOX: apple,
    GCM: JSON.stringify({ fcmV1Message: { message: google } }),
  });
}
