/** The settings for sending e-mails, text messages and push messages, and how they combine. */
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

/** For all AWS services. The SDK's default lookup supplies what is absent. */
export interface AwsSettings {
  readonly region: string | undefined;
  /** An endpoint other than Amazon's. */
  readonly endpoint: string | undefined;
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string }
    | undefined;
}

/** Subscribers of a topic deliver what is published there. */
export interface SnsSettings {
  readonly region: string | undefined;
  readonly emailTopicArn: string | undefined;
  readonly smsTopicArn: string | undefined;
  /** A topic, or a platform application in which devices become endpoints. */
  readonly pushArn: string | undefined;
  /** The topic to which SES reports bounces and complaints. */
  readonly feedbackTopicArn: string | undefined;
}

export const channelVariables = {
  mail: variable(
    ["MAIL"],
    oneOf("smtp", "ses", "sns", "capture"),
    "how e-mails are sent: smtp, ses, or sns (published to SNS_EMAIL_TOPIC_ARN). capture stores the newest in the database instead, for GET /api/v1/dev/mails (not in production) and platform administrators. Default smtp if a server is set, sns if a topic is set, otherwise capture; in production it must be set, or follow from another setting",
  ),
  sms: variable(
    ["SMS"],
    oneOf("sns", "capture"),
    "sns sends text messages; capture stores them, as for MAIL (GET /api/v1/dev/messages). Default sns if SNS_REGION is set; otherwise capture, in production none, and sending fails",
  ),
  push: variable(
    ["PUSH"],
    oneOf("send", "capture"),
    "send sends push messages, to browsers by Web Push and to devices by SNS_PUSH_TOPIC_ARN; capture stores them, as for MAIL. Default send in production or if SNS_PUSH_TOPIC_ARN is set, otherwise capture",
  ),
  awsRegion: variable(["AWS_REGION"], text, "the AWS region"),
  awsAccessKeyId: variable(
    ["AWS_ACCESS_KEY_ID"],
    text,
    "the AWS access key; default: the role of the machine or container",
  ),
  awsSecretAccessKey: variable(["AWS_SECRET_ACCESS_KEY"], text, "the secret of that key"),
  awsSecretId: variable(
    ["AWS_SECRET_ID"],
    text,
    "the name or ARN of a secret in AWS Secrets Manager: a JSON object of settings such as MASTER_SECRET and DATABASE_URL, read at start",
  ),
  awsEndpoint: variable(
    ["AWS_ENDPOINT_URL"],
    webUrl,
    "the endpoint of an AWS-compatible service; default Amazon's",
  ),
  snsRegion: variable(["SNS_REGION"], text, "the region of SNS; default AWS_REGION"),
  snsEmailTopicArn: variable(
    ["SNS_EMAIL_TOPIC_ARN"],
    text,
    "the topic to which MAIL=sns publishes e-mails; its subscriber must deliver them",
  ),
  snsSmsTopicArn: variable(
    ["SNS_SMS_TOPIC_ARN"],
    text,
    "the topic to publish text messages to; its subscriber must deliver them. Default: SNS sends them itself",
  ),
  snsPushTopicArn: variable(
    ["SNS_PUSH_TOPIC_ARN"],
    text,
    "the target of push messages to devices: a topic whose subscriber delivers them, or a platform application (arn:aws:sns:…:app/…) in which device tokens become endpoints",
  ),
  sesFeedbackTopicArn: variable(
    ["SES_FEEDBACK_TOPIC_ARN"],
    topicArn,
    "the SNS topic to which SES reports bounces and complaints. Subscribe <PUBLIC_URL>/api/v1/notifications/feedback/sns to it; that route exists only with this setting",
  ),
  smtp: variable(
    ["SMTP_URL"],
    smtpUrl,
    "the mail server: smtp://user:password@host:587 (STARTTLS required), smtps://… (implicit TLS), or smtp://…?tls=none (unencrypted)",
  ),
  smtpHost: variable(["SMTP_HOST"], text, "the mail server's host, instead of SMTP_URL"),
  smtpPort: variable(
    ["SMTP_PORT"],
    integer(1, 65_535),
    "its port; default 587 with STARTTLS; 465 means implicit TLS",
  ),
  smtpUser: variable(["SMTP_USER", "SMTP_USERNAME"], text, "its user name"),
  smtpPassword: variable(["SMTP_PASSWORD"], text, "and password"),
} satisfies Record<string, Variable<unknown>>;

type Values = ValuesOf<typeof channelVariables>;

/** Combines the settings for e-mails, text messages and push messages. */
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
  if (smtp && smtpHost) problems.push("SMTP_URL and SMTP_HOST are both set; set only one of them");
  if (smtp || smtpHost === undefined) return smtp;
  return {
    host: smtpHost,
    port: smtpPort,
    tls: smtpPort === 465 ? "implicit" : "starttls",
    auth: smtpUser === undefined ? undefined : { user: smtpUser, pass: smtpPassword ?? "" },
  };
}
