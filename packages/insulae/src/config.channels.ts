import type { SmtpServer, Values } from "./config.ts";

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
