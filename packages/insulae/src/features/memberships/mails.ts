import { mailTemplate } from "../../kernel/mail/template.ts";

/** To both: whoever gave a tenant away may not have been its owner. */
export const ownershipMail = mailTemplate<{
  readonly from: string;
  readonly to: string;
  readonly at: string;
}>(
  {
    name: "ownership_transferred",
    about: "To both, when a tenant has a new owner",
    subject: "{{ tenant }}: a new owner",
    body: [
      "{{ from }} has given {{ tenant }} to {{ to }}, who owns it from now on.",
      "When: {{ at }}.",
      "If that should not have happened, write to us.",
      "{{ link }}",
    ],
    values: {
      from: "ada@example.org",
      to: "grace@example.org",
      at: "Fri, 02 Jan 2026 10:00:00 GMT",
    },
    links: { link: "Sign in" },
  },
  (values, { link }) => ({ ...values, link: link("/login") }),
);
