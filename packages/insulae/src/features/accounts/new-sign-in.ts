/** E-mails people about a sign-in from a device or network that they have not used before. */

import { mailTemplate } from "../../kernel/feature/mail-template.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { keptUserAgent } from "../../kernel/identity/sessions.ts";
import { beginning } from "../../kernel/lib/text.ts";
import type { Subject } from "./sign-in-subject.ts";

interface Origin {
  readonly ip: string | null;
  readonly user_agent: string | null;
}

export const newSignInMail = mailTemplate<{
  readonly at: string;
  readonly ip: string;
  readonly device: string;
}>(
  {
    name: "new_sign_in",
    about: "Sent after a sign-in from a new device or network",
    subject: "{{ tenant }}: new sign-in",
    body: [
      "Someone signed in to your account from a device or network that you have not used before.",
      "When: {{ at }}. Address: {{ ip }}. Device: {{ device }}.",
      "If this was not you, set a new password. That signs out every device.",
      "{{ link }}",
    ],
    values: { at: "Fri, 02 Jan 2026 10:00:00 GMT", ip: "192.0.2.1", device: "Firefox" },
    links: { link: "Set a new password" },
  },
  (values, { link }) => ({ ...values, link: link("/forgot-password") }),
);

/** Call this once the session is open. A person's very first sign-in is not reported. */
export async function notifyIfNew(
  { control, mail }: Platform,
  subject: Subject,
  session: { readonly id: string; readonly ip: string; readonly userAgent: string | undefined },
): Promise<void> {
  const [tenantId, id, to] =
    "tenant" in subject
      ? [subject.tenant.id, subject.user.id, subject.user.email]
      : [null, subject.account.id, subject.account.email];
  const earlier = await control
    .selectFrom((from) =>
      from
        .selectFrom("control.sessions")
        .select(["ip", "user_agent"])
        .where("subject_id", "=", id)
        .where("tenant_id", tenantId === null ? "is" : "=", tenantId)
        .where("id", "<>", session.id)
        .where("impersonator_id", "is", null)
        // No effect on the result: `tenant_id` is fixed. It makes the order match the index.
        .orderBy("tenant_id", "desc")
        .orderBy("id", "desc")
        .limit(50)
        .as("session"),
    )
    .select(["ip", "user_agent"])
    .distinct()
    .execute();
  const now = placeOf({ ip: session.ip, user_agent: keptUserAgent(session.userAgent) });
  if (earlier.length === 0 || earlier.some((origin) => placeOf(origin) === now)) return;
  await mail.send(newSignInMail, {
    to,
    tenant: "tenant" in subject ? subject.tenant : undefined,
    variables: {
      at: new Date().toUTCString(),
      ip: session.ip,
      device: beginning(keptUserAgent(session.userAgent) ?? "unknown", 200),
    },
  });
}

/**
 * A device in a network. A browser update, or another address in the same /24 or /64, is not new.
 */
function placeOf({ ip, user_agent }: Origin): string {
  const address = ip ?? "";
  const network = address.includes(":")
    ? address.split(":").slice(0, 4).join(":")
    : address.split(".").slice(0, 3).join(".");
  return `${network} ${user_agent?.replace(/[\d.]+/g, "") ?? ""}`;
}
