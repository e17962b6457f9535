import { mailTemplate } from "../../kernel/mail/template.ts";

/** To both: whoever gave a tenant away may not have been its owner. */
export const ownershipMail = mailTemplate<{
  readonly from: string;
  readonly to: string;
  readonly at: string;
}>("ownership-transferred", ({ from, to, at }, { tenant, link }) => ({
  subject: `${tenant?.name}: a new owner`,
  body: [
    `${from} has given ${tenant?.name} to ${to}, who owns it from now on.`,
    `When: ${at}.`,
    "If that should not have happened, write to us.",
    { label: "Sign in", url: link("/login") },
  ],
}));
