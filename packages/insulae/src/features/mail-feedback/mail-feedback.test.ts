/**
 * Reports of SES, as SNS brings them: signed by a certificate of the tests' own, at a server that stands
 * in for Amazon's; and by moto, which signs as Amazon does.
 */
import { sign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../../app/app-api.ts";
import { addMember, createMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { makeCertificate, type TestCertificate } from "../../testing/test-certificates.ts";
import { describeWithMoto, startTestMoto, type TestMoto } from "../../testing/test-moto.ts";

const path = "/api/v1/notifications/feedback/sns";
const topicArn = "arn:aws:sns:us-east-1:123456789012:ses-feedback";
const at = "https://sns.us-east-1.amazonaws.com";
const certificates: Record<string, TestCertificate> = {};
/** What was asked of Amazon, but for mails. */
const asked: string[] = [];
let taken = 0;
let moto: TestMoto | undefined;

/** As SNS and SES, or in front of those that moto plays. */
const amazon = createServer(async (request, reply) => {
  const { method = "GET", url = "/", headers } = request;
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const name = /^\/SimpleNotificationService-(\w+)\.pem$/.exec(url)?.[1];
  if (!url.startsWith("/v2/email/")) asked.push(url);
  if (name === "gone") reply.destroy();
  else if (name && certificates[name]) reply.end(certificates[name].cert);
  else if (url.startsWith("/upload")) reply.end(certificates.ours?.cert);
  else if (moto) {
    // The certificate is for everybody; moto finds its services by what a request is signed for.
    const scope =
      "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=x";
    const { authorization = scope, "content-type": type = "" } = headers;
    const asking = { method, headers: { authorization, "content-type": type } };
    const answer = await fetch(moto.url + url, method === "GET" ? asking : { ...asking, body });
    reply.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
    reply.end(Buffer.from(await answer.arrayBuffer()));
  } else if (url.startsWith("/v2/email/"))
    reply.end(JSON.stringify({ MessageId: `ses-${++taken}` }));
  else reply.writeHead(url.startsWith("/?Action=ConfirmSubscription") ? 200 : 404).end();
});

async function newSenders() {
  const { tenant } = await createMember(app);
  return { tenant, admin: await addMember(app, tenant, "admin") };
}
type Senders = Awaited<ReturnType<typeof newSenders>>;

let app: App;
let acme: Senders;
let globex: Senders;
beforeAll(async () => {
  await new Promise<void>((listening) => amazon.listen(0, "127.0.0.1", listening));
  const { port } = amazon.address() as AddressInfo; // it listens on a port
  [certificates.ours, certificates.over] = await Promise.all([
    makeCertificate(),
    makeCertificate({ from: -3, to: -1 }),
  ]);
  app = await createTestApp({
    features: [],
    config: {
      mail: "ses",
      fromEmail: "noreply@insulae.example",
      aws: {
        region: "us-east-1",
        endpoint: `http://127.0.0.1:${port}`,
        credentials: { accessKeyId: "key", secretAccessKey: "secret" },
      },
      sns: {
        ...{ region: "us-east-1", emailTopicArn: undefined, smsTopicArn: undefined },
        ...{ pushArn: undefined, feedbackTopicArn: topicArn },
      },
    },
  });
  [acme, globex] = [await newSenders(), await newSenders()];
}, 60_000);
afterAll(async () => {
  await app?.close();
  await moto?.stop();
  amazon.closeAllConnections();
  await new Promise((closed) => amazon.close(closed));
});

const post = async (message: object) => {
  const headers = { "content-type": "text/plain; charset=UTF-8" };
  const payload = JSON.stringify(message);
  return (await app.inject({ method: "POST", url: path, headers, payload })).statusCode;
};

const notification = (report: object | string) => ({
  Type: "Notification",
  MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  TopicArn: topicArn,
  Message: typeof report === "string" ? report : JSON.stringify(report),
  Timestamp: "2026-11-21T18:45:07.000Z",
  SignatureVersion: "2",
  SigningCertURL: `${at}/SimpleNotificationService-ours.pem`,
});

/** Signs it as Amazon does. */
function signedBy(by: TestCertificate | undefined, message: Record<string, string>) {
  const names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token"];
  const all = [...names, "TopicArn", "Type"].filter((name) => message[name] !== undefined);
  const text = all.map((name) => `${name}\n${message[name]}\n`).join("");
  const digest = message.SignatureVersion === "1" ? "sha1" : "sha256";
  const Signature = sign(digest, Buffer.from(text), by?.key ?? "").toString("base64");
  return { ...message, Signature };
}
const signed = (message: Record<string, string>) => signedBy(certificates.ours, message);

const bounce = (messageId: string, bounceType = "Permanent", to = "a@example.org") => ({
  notificationType: "Bounce",
  mail: { messageId, timestamp: "2026-11-21T18:45:06.000Z", destination: [to] },
  bounce: {
    bounceType,
    bounceSubType: "General",
    bouncedRecipients: [{ emailAddress: to, diagnosticCode: "smtp; 550 5.1.1 nobody" }],
  },
});
const complaint = (messageId: string) => ({
  eventType: "Complaint",
  mail: { messageId },
  complaint: { complainedRecipients: [], complaintFeedbackType: "abuse" },
});

/** Sends an e-mail; with its id, and what SES calls it. */
async function sent(senders: Senders, recipient: string) {
  const { admin } = senders;
  const body = { recipient, subject: "Hi", body: "x" };
  const { message_id: id } = (await admin.call("POST", "/notifications/email", body)).body;
  await expect.poll(async () => (await shown(senders, id)).status).toBe("sent");
  return { id, ses: await nameOf(id) };
}
const nameOf = (mailId: string): Promise<string> =>
  app.withPlatform("a test", async ({ control }) => {
    const { provider_id: name } = await control
      .selectFrom("control.handed_over_mails")
      .select("provider_id")
      .where("mail_id", "=", mailId)
      .executeTakeFirstOrThrow();
    return name;
  });
const shown = async ({ admin }: Senders, id: string) =>
  (await admin.call("GET", `/notifications/history/${id}`)).body;
const suppressions = async ({ admin }: Senders, recipient = "") => {
  const query = recipient && `?recipient=${encodeURIComponent(recipient)}`;
  return (await admin.call("GET", `/notifications/suppressions${query}`)).body.items;
};
let count = 0;
const address = () => `nobody-${++count}@example.org`;

describe("a report of SES", () => {
  it("that a mail bounced for good counts for the tenant that sent it, and for nobody else", async () => {
    const to = address();
    const [mine, theirs] = [await sent(acme, to), await sent(globex, to)];
    expect(await post(signed(notification(bounce(mine.ses, "Permanent", to))))).toBe(204);
    expect(await shown(acme, mine.id)).toMatchObject({
      status: "bounced",
      error_message: "smtp; 550 5.1.1 nobody",
    });
    expect(await suppressions(acme, to)).toMatchObject([{ type: "email", reason: "bounced" }]);
    expect(await shown(globex, theirs.id)).toMatchObject({ status: "sent" });
    expect(await suppressions(globex, to)).toEqual([]);
    const list = await acme.admin.call("GET", "/notifications/history?status=bounced");
    expect(list.body.items).toMatchObject([{ id: mine.id }]);
  });

  it("that it was not wanted counts too, with a signature of the first version", async () => {
    const to = address();
    const { id, ses } = await sent(acme, to);
    const message = {
      ...notification(complaint(ses)),
      SignatureVersion: "1",
      Subject: "Complaint",
    };
    expect(await post(signed(message))).toBe(204);
    expect(await shown(acme, id)).toMatchObject({ status: "complained", error_message: "abuse" });
    expect(await suppressions(acme, to)).toMatchObject([{ reason: "complained" }]);
  });

  it("that comes once more changes nothing", async () => {
    const to = address();
    const message = signed(notification(bounce((await sent(acme, to)).ses)));
    await post(message);
    const [{ id }] = await suppressions(acme, to);
    await acme.admin.call("DELETE", `/notifications/suppressions/${id}`);
    expect(await post(message)).toBe(204);
    expect(await suppressions(acme, to)).toEqual([]);
  });

  it("of a mail of the system's own: it has failed, and its tenant's notifications stay away", async () => {
    const sentMail = () =>
      app.withPlatform("a test", ({ control }) =>
        control
          .selectFrom("control.mails")
          .select(["id", "recipient"])
          .where("tenant_id", "=", acme.tenant.id)
          .where("state", "=", "sent")
          .executeTakeFirst(),
      );
    await app.inject({
      method: "POST",
      url: "/api/v1/auth/register",
      headers: { "x-tenant": acme.tenant.key },
      payload: { email: address(), password: "a-Fine-passphrase-7" },
    });
    await expect.poll(sentMail).toBeDefined();
    const { id = "", recipient = "" } = (await sentMail()) ?? {};
    expect(await post(signed(notification(bounce(await nameOf(id)))))).toBe(204);
    const row = await app.withPlatform("a test", ({ control }) =>
      control
        .selectFrom("control.mails")
        .select(["state", "reason"])
        .where("id", "=", id)
        .executeTakeFirst(),
    );
    expect(row).toEqual({ state: "failed", reason: "bounced: smtp; 550 5.1.1 nobody" });
    expect(await suppressions(acme, recipient)).toMatchObject([{ reason: "bounced" }]);
  });

  it("of a mailbox that was full, a delivery, another's mail, or in no form that we know, counts not", async () => {
    const to = address();
    const { id, ses } = await sent(acme, to);
    for (const report of [
      bounce(ses, "Transient"),
      { ...bounce(ses), notificationType: "Delivery" },
      bounce("somebody-else's"),
      { notificationType: "Bounce", mail: { messageId: ses } },
      "Successfully validated SNS topic for Amazon SES event publishing.",
    ]) {
      expect(await post(signed(notification(report)))).toBe(204);
    }
    expect(await shown(acme, id)).toMatchObject({ status: "sent" });
    expect(await suppressions(acme, to)).toEqual([]);
  });
});

describe("is refused, and changes nothing:", () => {
  const elsewhere = (url: string) => (message: Record<string, string>) =>
    signed({ ...message, SigningCertURL: url });
  const pem = "SimpleNotificationService-ours.pem";

  it.each<[string, (message: Record<string, string>) => object, number?]>([
    [
      "another text than was signed",
      (m) => ({ ...signed({ ...m, Message: "{}" }), Message: m.Message }),
    ],
    [
      "another time than was signed",
      (m) => ({ ...signed(m), Timestamp: "2026-11-22T00:00:00.000Z" }),
    ],
    ["no signature", (m) => ({ ...m, Signature: "" })],
    ["a signature of somebody else's", (m) => signedBy(certificates.over, m)],
    ["another topic's message", (m) => signed({ ...m, TopicArn: `${topicArn}-of-another` })],
    [
      "a certificate of another host",
      elsewhere(`https://sns.us-east-1.amazonaws.com.evil.example/${pem}`),
    ],
    [
      "a certificate of another service",
      elsewhere(`https://bucket.s3.us-east-1.amazonaws.com/${pem}`),
    ],
    ["a certificate of another port", elsewhere(`https://sns.us-east-1.amazonaws.com:8443/${pem}`)],
    ["a certificate without TLS", elsewhere(`http://sns.us-east-1.amazonaws.com/${pem}`)],
    ["a certificate with a password", elsewhere(`https://a:b@sns.us-east-1.amazonaws.com/${pem}`)],
    ["another document of the host", elsewhere(`${at}/uploads/${pem}`)],
    ["a certificate that is not there", elsewhere(`${at}/SimpleNotificationService-none.pem`)],
    [
      "a certificate that has run out",
      (m) =>
        signedBy(certificates.over, {
          ...m,
          SigningCertURL: `${at}/SimpleNotificationService-over.pem`,
        }),
    ],
    ["another version of signatures", (m) => signed({ ...m, SignatureVersion: "3" })],
    ["nothing", () => ({})],
    [
      "what can't be looked at now, to be sent again",
      elsewhere(`${at}/SimpleNotificationService-gone.pem`),
      503,
    ],
  ])("%s", async (_what, make, status = 403) => {
    const to = address();
    const { id, ses } = await sent(acme, to);
    expect(await post(make(notification(bounce(ses))))).toBe(status);
    expect(await shown(acme, id)).toMatchObject({ status: "sent" });
    expect(await suppressions(acme, to)).toEqual([]);
  });
});

describe("a subscription", () => {
  const confirmation = (SubscribeURL: string) => ({
    ...notification("You have chosen to subscribe to the topic"),
    Type: "SubscriptionConfirmation",
    Token: "2336412f37",
    SubscribeURL,
  });
  const query = `?Action=ConfirmSubscription&TopicArn=${topicArn}&Token=2336412f37`;

  it("is confirmed where Amazon says", async () => {
    expect(await post(signed(confirmation(`${at}/${query}`)))).toBe(204);
    expect(asked.at(-1)).toBe(`/${query}`);
  });

  it("is confirmed nowhere else, and for nobody else", async () => {
    asked.length = 0;
    const forged = signed(confirmation(`https://169.254.169.254/${query}`));
    expect(await post(forged)).toBe(403);
    expect(await post(signed(confirmation(`${at}/latest/meta-data`)))).toBe(403);
    expect(await post({ ...signed(confirmation(`${at}/${query}`)), Token: "another" })).toBe(403);
    expect(asked.filter((url) => !url.endsWith(".pem"))).toEqual([]);
  });
});

describeWithMoto("by moto, which signs as Amazon does", () => {
  beforeAll(async () => {
    moto = await startTestMoto();
  }, 60_000);

  /** Asks moto as Amazon's own tools do, in the old form of the protocol. */
  const ask = async (service: "ses" | "sns", parameters: Record<string, string>) => {
    const authorization = `AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=x`;
    const headers = { "content-type": "application/x-www-form-urlencoded", authorization };
    const body = new URLSearchParams(parameters);
    const answer = await fetch(moto?.url ?? "", { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  };

  it("a bounce that the topic tells of counts", async () => {
    const origin = await app.listen({ port: 0, host: "127.0.0.1" });
    await ask("ses", { Action: "VerifyEmailIdentity", EmailAddress: "noreply@insulae.example" });
    await ask("sns", { Action: "CreateTopic", Name: "ses-feedback" });
    const Endpoint = `${origin}${path}`;
    await ask("sns", { Action: "Subscribe", TopicArn: topicArn, Protocol: "http", Endpoint });
    const to = "bounce@simulator.amazonses.com";
    const { id, ses } = await sent(acme, to);
    const Message = JSON.stringify(bounce(ses));
    await ask("sns", { Action: "Publish", TopicArn: topicArn, Message });
    expect(await shown(acme, id)).toMatchObject({ status: "bounced" });
    expect(await suppressions(acme, to)).toMatchObject([{ reason: "bounced" }]);
  });
});
