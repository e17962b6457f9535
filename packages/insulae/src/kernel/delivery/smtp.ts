/**
 * Sends e-mail by SMTP. Unless TLS is explicitly disabled, it is required and the server's
 * certificate is verified: a server without it gets no password and no mail.
 */
import { createTransport } from "nodemailer";
import type { SmtpServer } from "../../config/parsers.ts";
import { withDeadline } from "../lib/deadline.ts";
import { type OutgoingMail, Undeliverable } from "./message.ts";
import { subjectHeader } from "./subject.ts";

/** For silent connections; a server that sends an occasional byte never exceeds these. */
const idle = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 };

/**
 * @param from the sender's address
 * @param timeoutMs the limit for a mail, from waiting for a connection to the server's final
 * response; shorter than the sender's lease, so that no mail is taken twice
 */
export function smtpDriver(
  { host, port, tls, auth }: SmtpServer,
  from: string,
  timeoutMs = 45_000,
) {
  const transport = createTransport({
    pool: true,
    maxConnections: 4,
    host,
    port,
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "none",
    tls: { rejectUnauthorized: true, minVersion: "TLSv1.2" },
    // Mails must not read files or URLs.
    disableFileAccess: true,
    disableUrlAccess: true,
    ...idle,
    ...(auth && { auth }),
  });
  const closing = new AbortController();
  const domain = from.slice(from.lastIndexOf("@") + 1);

  return {
    async deliver({ id, to, subject, text, html }: OutgoingMail): Promise<void> {
      try {
        const mail = {
          // As objects, not as text to be parsed.
          from: { name: "", address: from },
          to: { name: "", address: to },
          envelope: { from, to: [to] },
          subject: subjectHeader(subject),
          text,
          html,
          messageId: `<${id}@${domain}>`,
          headers: { "Auto-Submitted": "auto-generated" },
        };
        // The signal closes the connection, which can't be reused for the next mail.
        await withDeadline(
          timeoutMs,
          (signal) => transport.sendMail({ ...mail, signal }),
          closing.signal,
        );
      } catch (error) {
        if (!isFinal(error)) throw error;
        const noSuchRecipient = "code" in error && error.code === "EENVELOPE" && isUnknown(error);
        throw new Undeliverable(error.message, { cause: error, noSuchRecipient });
      }
    },
    close() {
      closing.abort(new Error("the server is stopping"));
      transport.close();
    },
  };
}

/**
 * A 5xx about this mail (RFC 5321, section 4.2.1); one about our password has to be fixed by an
 * operator.
 */
const isFinal = (error: unknown): error is Error =>
  error instanceof Error &&
  "responseCode" in error &&
  typeof error.responseCode === "number" &&
  error.responseCode >= 500 &&
  "code" in error &&
  (error.code === "EENVELOPE" || error.code === "EMESSAGE");

/**
 * No such mailbox or domain (RFC 3463: X.1.1 and similar); other 5xx can be about the sender or
 * content.
 */
const isUnknown = (error: Error): boolean =>
  "response" in error && /^5\d\d[ -]5\.(1\.(?:1|2|3|6|10)|2\.1)\b/.test(String(error.response));
