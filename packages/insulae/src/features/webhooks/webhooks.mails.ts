import { mailTemplate } from "../../kernel/mail/template.ts";
import type { DisabledReason } from "./webhooks.queries.ts";

const reasons: Readonly<Record<DisabledReason, string>> = {
  gone: "its server answered that it wants to hear no more (410)",
  failing: "for three days nothing could be delivered to it",
  maker_gone: "whoever set it up, or the key that they used, is gone",
};

/** Tells the owners that nothing is sent to a webhook any more. */
export const webhookDisabledMail = mailTemplate<{
  readonly host: string;
  readonly reason: DisabledReason;
}>(
  {
    name: "webhook_disabled",
    about: "To the owners, when a webhook was switched off",
    subject: "{{ tenant }}: a webhook was switched off",
    body: [
      "The webhook at {{ host }} was switched off: {{ reason }}.",
      "What could not be delivered waits. Switch it on again once that is mended; what happens until then is not sent to it.",
    ],
    values: { host: "hooks.example.org", reason: reasons.failing },
  },
  ({ host, reason }) => ({ host, reason: reasons[reason] }),
);
