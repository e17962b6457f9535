/** Tests against AWS as implemented by moto, which is independent of our code. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadConfig } from "../../config/config.ts";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import { describeWithMoto, startTestMoto, type TestMoto } from "../../testing/test-moto.ts";
import { createLogger } from "../telemetry/log.ts";
import { createDelivery } from "./delivery.ts";
import { type Delivery, Undeliverable } from "./message.ts";

const from = "noreply@insulae.example";
const tenant = { id: "01990000-0000-7000-8000-000000000001" as never };
const about = { id: "01990000-0000-7000-8000-0000000000aa", tenant, template: "note" };
const mail = {
  ...about,
  to: "ada@example.org",
  subject: "Grüße",
  text: "Hello",
  html: "<p>Hello</p>",
};

describeWithMoto("through AWS", () => {
  let moto: TestMoto;
  let installation: TestInstallation;
  beforeAll(async () => {
    [moto, installation] = await Promise.all([startTestMoto(), createTestInstallation([])]);
  }, 60_000);
  afterAll(async () => {
    await installation?.close();
    await moto?.stop();
  });

  /** Queries moto as Amazon's own tools do, in the old form of the protocol. */
  const ask = async (service: string, parameters: Record<string, string>) => {
    const answer = await fetch(moto.url, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        authorization: `AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=x`,
      },
      body: new URLSearchParams(parameters),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  /** The messages that moto received, by kind. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect out of it
  const told = async (service: "ses" | "sns"): Promise<any> => {
    const all = JSON.parse(await (await fetch(`${moto.url}/moto-api/data.json`)).text());
    return all[service];
  };

  const withDelivery = async (
    env: Record<string, string>,
    work: (delivery: Delivery) => Promise<void>,
  ) => {
    const config = loadConfig({
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "key",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_ENDPOINT_URL: moto.url,
      FROM_EMAIL: from,
      ...env,
    });
    const { control, secrets } = installation;
    const delivery = createDelivery({ config, control, secrets, log: createLogger("silent") });
    try {
      await work(delivery);
    } finally {
      await delivery.close();
    }
  };

  it("SES accepts a mail from a verified identity; from another one it can be retried", () =>
    withDelivery({ MAIL: "ses" }, async (delivery) => {
      const refused = await delivery.mail(mail).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Error);
      expect(refused).not.toBeInstanceOf(Undeliverable);
      await ask("ses", { Action: "VerifyEmailIdentity", EmailAddress: from });
      await delivery.mail(mail);
      expect((await told("ses")).Message).toMatchObject([
        {
          source: from,
          destinations: { ToAddresses: ["ada@example.org"] },
          subject: "Grüße",
          body: "<p>Hello</p>",
        },
      ]);
      await delivery.mail({ ...mail, subject: "=?utf-8?Q?x=0D=0AY?=" });
      expect((await told("ses")).Message[1].subject).toBe(
        "=?UTF-8?B?PT91dGYtOD9RP3g9MEQ9MEFZPz0=?=",
      );
    }));

  it("SNS sends a text message to a valid number", () =>
    withDelivery({ SNS_REGION: "us-east-1" }, async (delivery) => {
      await delivery.text({ ...about, to: "+41791234567", text: "Your code" });
      expect((await told("sns")).SMS).toMatchObject([
        { phone_number: "+41791234567", message: "Your code" },
      ]);
      const refused = delivery.text({ ...about, to: "nobody", text: "Your code" });
      await expect(refused).rejects.toBeInstanceOf(Undeliverable);
    }));

  it("SNS pushes to a device through one endpoint per application", async () => {
    const made = await ask("sns", {
      Action: "CreatePlatformApplication",
      Name: "app",
      Platform: "GCM",
      "Attributes.entry.1.key": "PlatformCredential",
      "Attributes.entry.1.value": "x",
    });
    const arn = /arn:aws:sns:[^<"\s]+/.exec(made)?.[0] ?? "";
    await withDelivery(
      { SNS_REGION: "us-east-1", SNS_PUSH_TOPIC_ARN: arn, PUSH: "send" },
      async (delivery) => {
        const push = {
          ...about,
          to: "device-1",
          title: "Hello",
          text: "You",
          urgency: "high",
        } as const;
        await delivery.push(push);
        await delivery.push({ ...push, text: "again" });
        const { PlatformEndpoint: endpoints } = await told("sns");
        expect(endpoints).toMatchObject([{ token: "device-1" }]);
        const messages: string[] = Object.values<[string, string]>(endpoints[0].messages ?? {}).map(
          String,
        );
        expect(messages.map((text) => /You|again/.exec(text)?.[0])).toEqual(["You", "again"]);
        await ask("sns", {
          Action: "SetEndpointAttributes",
          EndpointArn: endpoints[0].arn,
          "Attributes.entry.1.key": "Enabled",
          "Attributes.entry.1.value": "false",
        });
        const refused = await delivery.push(push).catch((error: unknown) => error);
        expect(refused).toMatchObject({ noSuchRecipient: true });
      },
    );
  });

  it("a topic gets messages of all kinds, with their recipients, for a subscriber to deliver", async () => {
    const made = await ask("sns", { Action: "CreateTopic", Name: "all" });
    const arn = /arn:aws:sns:[^<"\s]+/.exec(made)?.[0] ?? "";
    const topics = { SNS_EMAIL_TOPIC_ARN: arn, SNS_SMS_TOPIC_ARN: arn, SNS_PUSH_TOPIC_ARN: arn };
    await withDelivery({ ...topics, MAIL: "sns", SMS: "sns", PUSH: "send" }, async (delivery) => {
      await delivery.mail(mail);
      await delivery.text({ ...about, to: "+41791234567", text: "Your code" });
      await delivery.push({
        ...about,
        to: "device-1",
        title: "Hello",
        text: "You",
        urgency: "low",
      });
    });
    const { Topic: topicsMade } = await told("sns");
    const published = topicsMade[0].sent_notifications.map(([, text]: [string, string]) =>
      JSON.parse(text),
    );
    const { id, tenant: owner, template } = about;
    const common = { id, tenant_id: owner.id, template };
    expect(published).toEqual([
      {
        ...common,
        channel: "email",
        to: mail.to,
        subject: "Grüße",
        text: "Hello",
        html: mail.html,
      },
      { ...common, channel: "sms", to: "+41791234567", text: "Your code" },
      { ...common, channel: "push", to: "device-1", title: "Hello", text: "You", urgency: "low" },
    ]);
  });
});
