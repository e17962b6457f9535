import { mailTemplate } from "../../kernel/feature/mail-template.ts";
import type { DisabledReason } from "./webhooks.queries.ts";

const reasons: Readonly<Record<DisabledReason, string>> = {
  gone: "its server answered that it wants no more events (410)",
  failing: "nothing could be delivered to it for three days",
  maker_gone: "the user who set it up, or the key that they used, no longer exists",
};

/** Notifies the owners that a webhook was disabled. */
export const webhookDisabledMail = mailTemplate<{
  readonly host: string;
  readonly reason: DisabledReason;
}>(
  {
    name: "webhook_disabled",
    about: "Sent to the owners when a webhook is disabled",
    subject: "{{ tenant }}: a webhook was disabled",
    body: [
      "The webhook at {{ host }} was disabled: {{ reason }}.",
      "Undelivered events are kept. Enable the webhook again once the problem is solved; events until then are not sent to it.",
    ],
    values: { host: "hooks.example.org", reason: reasons.failing },
  },
  ({ host, reason }) => ({ host, reason: reasons[reason] }),
);
