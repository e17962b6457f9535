/**
 * Mails by SMTP. Where TLS is not turned off explicitly it is required and the server's certificate
 * is verified: a server that offers none gets no password and no mail.
 */
import { createTransport } from "nodemailer";
import type { SmtpServer } from "../../config/parsers.ts";
import { withDeadline } from "../lib/deadline.ts";
import { type OutgoingMail, Undeliverable } from "./message.ts";
import { subjectHeader } from "./subject.ts";

/** For a connection nothing happens on; a server that sends a byte now and then never meets it. */
const idle = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 };

/**
 * @param from the sender's address.
 * @param timeoutMs for a mail from the queue for a connection to the server's last word; shorter than
 *   the sender's lease, so that a mail is not taken twice.
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
    // Nothing of a mail is read from a file or the network.
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
          // As addresses, not as text to be parsed into some.
          from: { name: "", address: from },
          to: { name: "", address: to },
          envelope: { from, to: [to] },
          subject: subjectHeader(subject),
          text,
          html,
          messageId: `<${id}@${domain}>`,
          headers: { "Auto-Submitted": "auto-generated" },
        };
        // The signal closes the connection, too: it is none for the next mail.
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
      closing.abort(new Error("the server stops"));
      transport.close();
    },
  };
}

/** A 5xx about this mail (RFC 5321, 4.2.1); one about our password is for somebody to put right. */
const isFinal = (error: unknown): error is Error =>
  error instanceof Error &&
  "responseCode" in error &&
  typeof error.responseCode === "number" &&
  error.responseCode >= 500 &&
  "code" in error &&
  (error.code === "EENVELOPE" || error.code === "EMESSAGE");

/** No such mailbox or domain (RFC 3463, X.1.1 and its like); a 5xx may also be about us, or the text. */
const isUnknown = (error: Error): boolean =>
  "response" in error && /^5\d\d[ -]5\.(1\.(?:1|2|3|6|10)|2\.1)\b/.test(String(error.response));
