/** How mails, text messages and pushes leave: the variables, and what they come to. */
import {
  integer,
  oneOf,
  type SmtpServer,
  smtpUrl,
  text,
  topicArn,
  type ValuesOf,
  type Variable,
  variable,
  webUrl,
} from "./parsers.ts";

/** For all of Amazon's services; what is absent is looked for as the SDK does. */
export interface AwsSettings {
  readonly region: string | undefined;
  /** Another server than Amazon's. */
  readonly endpoint: string | undefined;
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string }
    | undefined;
}

/** A topic's subscribers deliver what is published there. */
export interface SnsSettings {
  readonly region: string | undefined;
  readonly emailTopicArn: string | undefined;
  readonly smsTopicArn: string | undefined;
  /** A topic, or a platform application, of which devices become endpoints. */
  readonly pushArn: string | undefined;
  /** To which SES reports bounces and complaints. */
  readonly feedbackTopicArn: string | undefined;
}

export const channelVariables = {
  mail: variable(
    ["MAIL"],
    oneOf("smtp", "ses", "sns", "capture"),
    "smtp and ses send mails, sns publishes them to SNS_EMAIL_TOPIC_ARN; capture keeps the newest in the database instead, to be read by GET /api/v1/dev/mails (not in production) or by a platform administrator. Default smtp where a server is given, sns where a topic is, otherwise capture; in production one must be said or given",
  ),
  sms: variable(
    ["SMS"],
    oneOf("sns", "capture"),
    "sns sends text messages; capture keeps them, as MAIL does (GET /api/v1/dev/messages). Default sns where SNS_REGION is given; otherwise capture, in production none, and a text message fails",
  ),
  push: variable(
    ["PUSH"],
    oneOf("send", "capture"),
    "send sends push notifications, to browsers by Web Push and to devices by SNS_PUSH_TOPIC_ARN; capture keeps them, as MAIL does. Default send in production and where that is given, otherwise capture",
  ),
  awsRegion: variable(["AWS_REGION"], text, "the region of Amazon's services"),
  awsAccessKeyId: variable(
    ["AWS_ACCESS_KEY_ID"],
    text,
    "who asks them; without it, as the machine or container is known to Amazon",
  ),
  awsSecretAccessKey: variable(["AWS_SECRET_ACCESS_KEY"], text, "the secret of that key"),
  awsSecretId: variable(
    ["AWS_SECRET_ID"],
    text,
    "the name or ARN of a secret in AWS Secrets Manager: a JSON object of settings such as MASTER_SECRET and DATABASE_URL, read at the start",
  ),
  awsEndpoint: variable(
    ["AWS_ENDPOINT_URL"],
    webUrl,
    "a server that stands in for Amazon's; default Amazon's own",
  ),
  snsRegion: variable(["SNS_REGION"], text, "the region of SNS; default AWS_REGION"),
  snsEmailTopicArn: variable(
    ["SNS_EMAIL_TOPIC_ARN"],
    text,
    "the topic that MAIL=sns publishes mails to, for a subscriber that delivers them",
  ),
  snsSmsTopicArn: variable(
    ["SNS_SMS_TOPIC_ARN"],
    text,
    "the topic to publish text messages to, for a subscriber that delivers them; default: SNS sends them itself",
  ),
  snsPushTopicArn: variable(
    ["SNS_PUSH_TOPIC_ARN"],
    text,
    "where pushes to devices go: a topic, for a subscriber that delivers them, or a platform application (arn:aws:sns:…:app/…), in which device tokens become endpoints",
  ),
  sesFeedbackTopicArn: variable(
    ["SES_FEEDBACK_TOPIC_ARN"],
    topicArn,
    "the SNS topic to which SES reports bounces and complaints; it is to be subscribed to by <PUBLIC_URL>/api/v1/notifications/feedback/sns, which without this setting is not there",
  ),
  smtp: variable(
    ["SMTP_URL"],
    smtpUrl,
    "the mail server: smtp://user:password@host:587 (STARTTLS is insisted on), smtps://… (TLS from the start), or smtp://…?tls=none",
  ),
  smtpHost: variable(["SMTP_HOST"], text, "the mail server's host, instead of SMTP_URL"),
  smtpPort: variable(
    ["SMTP_PORT"],
    integer(1, 65_535),
    "and port; default 587 with STARTTLS, 465 is TLS from the start",
  ),
  smtpUser: variable(["SMTP_USER", "SMTP_USERNAME"], text, "and user name"),
  smtpPassword: variable(["SMTP_PASSWORD"], text, "and password"),
} satisfies Record<string, Variable<unknown>>;

type Values = ValuesOf<typeof channelVariables>;

/** How mails, text messages and pushes leave. */
export function channels(values: Values, production: boolean, problems: string[]) {
  const smtp = mailServer(values, problems);
  const mail = values.mail ?? (smtp ? "smtp" : values.snsEmailTopicArn ? "sns" : "capture");
  const { awsAccessKeyId: accessKeyId, awsSecretAccessKey: secretAccessKey } = values;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    problems.push(
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together; set both or neither",
    );
  }
  const snsRegion = values.snsRegion ?? values.awsRegion;
  const sms = values.sms ?? (values.snsRegion ? "sns" : production ? undefined : "capture");
  if (mail === "smtp" && !smtp) problems.push("MAIL=smtp needs SMTP_URL or SMTP_HOST");
  if (mail === "ses" && !values.awsRegion) problems.push("MAIL=ses needs AWS_REGION");
  if (mail === "sns" && !(values.snsEmailTopicArn && snsRegion)) {
    problems.push("MAIL=sns needs SNS_EMAIL_TOPIC_ARN, and SNS_REGION or AWS_REGION");
  }
  if (sms === "sns" && !snsRegion) problems.push("SMS=sns needs SNS_REGION or AWS_REGION");
  if (values.snsPushTopicArn && !snsRegion) {
    problems.push("SNS_PUSH_TOPIC_ARN needs SNS_REGION or AWS_REGION");
  }
  const push: "send" | "capture" =
    values.push ?? (production || values.snsPushTopicArn ? "send" : "capture");
  return {
    mail,
    smtp,
    sms,
    push,
    aws: {
      region: values.awsRegion,
      endpoint: values.awsEndpoint,
      credentials:
        accessKeyId !== undefined && secretAccessKey !== undefined
          ? { accessKeyId, secretAccessKey }
          : undefined,
    },
    sns: {
      region: snsRegion,
      emailTopicArn: values.snsEmailTopicArn,
      smsTopicArn: values.snsSmsTopicArn,
      pushArn: values.snsPushTopicArn,
      feedbackTopicArn: values.sesFeedbackTopicArn,
    },
  } as const;
}

function mailServer(values: Values, problems: string[]): SmtpServer | undefined {
  const { smtp, smtpHost, smtpPort = 587, smtpUser, smtpPassword } = values;
  if (smtp && smtpHost) problems.push("SMTP_URL and SMTP_HOST are both given; set one of them");
  if (smtp || smtpHost === undefined) return smtp;
  return {
    host: smtpHost,
    port: smtpPort,
    tls: smtpPort === 465 ? "implicit" : "starttls",
    auth: smtpUser === undefined ? undefined : { user: smtpUser, pass: smtpPassword ?? "" },
  };
}
