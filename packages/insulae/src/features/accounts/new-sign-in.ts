/** Tells somebody of a sign-in from where they have not signed in before. */

import type { Platform } from "../../kernel/feature/platform.ts";
import { keptUserAgent } from "../../kernel/identity/sessions.ts";
import { beginning } from "../../kernel/lib/text.ts";
import { mailTemplate } from "../../kernel/mail/template.ts";
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
    about: "After a sign-in from where somebody has not been before",
    subject: "{{ tenant }}: a new sign-in",
    body: [
      "Somebody signed in with your account, from where you have not been before.",
      "When: {{ at }}. Address: {{ ip }}. Device: {{ device }}.",
      "If it was not you, set a new password: that ends all sign-ins.",
      "{{ link }}",
    ],
    values: { at: "Fri, 02 Jan 2026 10:00:00 GMT", ip: "192.0.2.1", device: "Firefox" },
    links: { link: "Set a new password" },
  },
  (values, { link }) => ({ ...values, link: link("/forgot-password") }),
);

/** To be called once the session is open. The first sign-in of all is not news. */
export async function tellIfNew(
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
        // As the index has it: null orders nothing.
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

/** A device in a network: a browser's next version, or another address of the /24 or /64, is no news. */
function placeOf({ ip, user_agent }: Origin): string {
  const address = ip ?? "";
  const network = address.includes(":")
    ? address.split(":").slice(0, 4).join(":")
    : address.split(".").slice(0, 3).join(".");
  return `${network} ${user_agent?.replace(/[\d.]+/g, "") ?? ""}`;
}
