import { mailTemplate } from "../../kernel/feature/mail-template.ts";

/** Sent to both: a platform administrator may have made the transfer, not the previous owner. */
export const ownershipMail = mailTemplate<{
  readonly from: string;
  readonly to: string;
  readonly at: string;
}>(
  {
    name: "ownership_transferred",
    about: "Sent to the old and the new owner when a tenant is transferred",
    subject: "{{ tenant }}: new owner",
    body: [
      "{{ from }} has transferred {{ tenant }} to {{ to }}, who now owns it.",
      "When: {{ at }}.",
      "If this should not have happened, contact us.",
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
