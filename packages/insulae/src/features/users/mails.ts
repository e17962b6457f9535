/**
 * E-mails about addresses and passwords. They contain no personal name: somebody who registers with
 * another person's address must not be able to choose the text that this person receives.
 */
import { type MailInput, mailTemplate } from "../../kernel/feature/mail-template.ts";
import { findIdentity } from "./identity.ts";

/** The purposes of the tokens in their links. */
export const verifyPurpose = "verify-email";
export const resetPurpose = "password-reset";

const day = 86_400;
const resetSeconds = 3_600;

/** Asks the recipient to verify the address. Sends nothing if nobody has it or it is verified. */
export const verificationMail = mailTemplate(
  {
    name: "verification",
    about: "Sent to an address that has to be verified",
    subject: "{{ tenant }}: verify your e-mail",
    body: [
      "Someone entered this address at {{ tenant }}. If that was you, verify it:",
      "{{ link }}",
      "The link works once and expires in three days. If this was not you, ignore this message.",
    ],
    links: { link: "Verify this e-mail" },
  },
  async (_, input) => {
    const { platform, tenant, to, link } = input;
    const identity = await findIdentity(platform, tenant, to);
    if (!identity || identity.emailVerified) return undefined;
    const token = await platform.oneTimeTokens.issue({
      purpose: verifyPurpose,
      subject: identity.subject,
      ttlSeconds: 3 * day,
      detail: { email: to },
    });
    return { link: link("/verify-email", { token }) };
  },
);

/** Sent to an address that has just been verified. */
export const welcomeMail = mailTemplate(
  {
    name: "welcome_email",
    about: "Sent when somebody has verified their e-mail",
    subject: "Welcome to {{ tenant }}",
    body: ["Your e-mail is verified. You can now sign in to {{ tenant }}.", "{{ link }}"],
    links: { link: "Sign in" },
  },
  (_, { link }) => ({ link: link("/login") }),
);

/** A link for setting a password; undefined if the owner of the address has none to set. */
async function resetLink({ platform, tenant, to, link }: MailInput): Promise<string | undefined> {
  const identity = await findIdentity(platform, tenant, to);
  if (!identity?.passwordOf) return undefined;
  const token = await platform.oneTimeTokens.issue({
    purpose: resetPurpose,
    subject: identity.passwordOf,
    ttlSeconds: resetSeconds,
    detail: { email: to },
  });
  return link("/password-reset", { token });
}

export const passwordResetMail = mailTemplate(
  {
    name: "password_reset",
    about: "Sent when somebody requests a new password",
    subject: "{{ tenant }}: set a new password",
    body: [
      "Someone requested a new password for this address. If that was you, choose one:",
      "{{ link }}",
      "The link works once and expires in one hour. Using it signs out every device. If this was not you, ignore this message; your password stays the same.",
    ],
    links: { link: "Set a new password" },
  },
  async (_, input) => {
    const link = await resetLink(input);
    return link === undefined ? undefined : { link };
  },
);

/** Like the next one, it tells the address's owner what the HTTP response must not reveal. */
export const noRoomMail = mailTemplate(
  {
    name: "no_room",
    about: "Sent when somebody registers and the plan allows no more users",
    subject: "{{ tenant }}: no more users possible",
    body: [
      "Someone registered at {{ tenant }} with this address, but its plan allows no more users, so the registration failed. If that was you, contact an administrator of {{ tenant }}.",
    ],
  },
  () => ({}),
);

export const alreadyRegisteredMail = mailTemplate(
  {
    name: "already_registered",
    about: "Sent when somebody registers with an address that is already registered",
    subject: "{{ tenant }}: you are already registered",
    body: [
      "Someone registered at {{ tenant }} with this address, which is already registered. Nothing has changed.",
      "{{ link }}",
      "{% if reset_link %}If you have forgotten your password, choose a new one. The link works once and expires in one hour.",
      "{{ reset_link }}",
      "{% endif %}If this was not you, ignore this message.",
    ],
    links: { link: "Sign in", reset_link: "Set a new password" },
  },
  async (_, input) => ({
    link: input.link("/login"),
    reset_link: await resetLink(input),
  }),
);

const notices = {
  password_changed: "Your password was changed, and every device was signed out.",
  email_changed: "Your e-mail address was changed. This message goes to the old one.",
  factor_added: "A second factor was added to your sign-in, and every other device was signed out.",
  factor_removed:
    "A second factor was removed from your sign-in, and every other device was signed out.",
  factors_reset:
    "An administrator removed your second factors and recovery codes, and every device was signed out.",
  recovery_codes_renewed: "You have new recovery codes. The old ones no longer work.",
  recovery_code_used:
    "Someone signed in to your account with a recovery code. That code no longer works.",
  codes_guessed: "Someone who knows your password or has your device entered several wrong codes.",
} as const;

export type Notice = keyof typeof notices;

/** Notifies the owner of a user or account about a security change, so that they can react. */
export const noticeMail = mailTemplate<{ readonly what: Notice; readonly at: string }>(
  {
    name: "security_notice",
    about: "Sent after a change to somebody's sign-in",
    subject: "{{ tenant }}: your sign-in has changed",
    body: [
      "{{ what }}",
      "When: {{ at }}.",
      "If this was not you, set a new password and contact us.",
      "{{ link }}",
    ],
    values: { what: notices.password_changed, at: "Fri, 02 Jan 2026 10:00:00 GMT" },
    links: { link: "Set a new password" },
  },
  ({ what, at }, { link }) => ({ what: notices[what], at, link: link("/forgot-password") }),
);

export const userMails = [
  verificationMail,
  passwordResetMail,
  alreadyRegisteredMail,
  noRoomMail,
  noticeMail,
  welcomeMail,
] as const;
