/**
 * The mails about somebody's address and password. Nobody is addressed by name: a stranger who signs
 * up with another's address must not be able to choose what is written there.
 */
import { mailTemplate } from "../../kernel/mail/template.ts";
import { findIdentity } from "./identity.ts";

/** What its tokens are for. */
export const verifyPurpose = "verify-email";
export const resetPurpose = "password-reset";

const day = 86_400;
const resetSeconds = 3_600;

/** Asks whoever reads it to prove it; nothing for an address that is nobody's, or is verified. */
export const verificationMail = mailTemplate(
  {
    name: "verification",
    about: "To an address that has to be verified",
    subject: "{{ tenant }}: verify your e-mail",
    body: [
      "This address was given for {{ tenant }}. If that was you, verify it:",
      "{{ link }}",
      "The link works once, for three days. If it was not you, do nothing.",
    ],
    links: { link: "Verify this e-mail" },
  },
  async (_, setting) => {
    const { platform, tenant, to, link } = setting;
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

/** To an address that has just been proved. */
export const welcomeMail = mailTemplate(
  {
    name: "welcome_email",
    about: "To who has just verified their e-mail",
    subject: "Welcome to {{ tenant }}",
    body: ["This e-mail is verified, and you can sign in to {{ tenant }}.", "{{ link }}"],
    links: { link: "Sign in" },
  },
  (_, { link }) => ({ link: link("/login") }),
);

type Setting = Parameters<typeof verificationMail.compose>[1];

/** A link that sets a password; nothing for an address whose owner has none to set. */
async function resetLink({ platform, tenant, to, link }: Setting): Promise<string | undefined> {
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
    about: "When somebody asks for a new password",
    subject: "{{ tenant }}: set a new password",
    body: [
      "Somebody asked for a new password for this address. If that was you, choose one:",
      "{{ link }}",
      "The link works once, for one hour, and ends all sign-ins. If it was not you, do nothing: the password stays as it is.",
    ],
    links: { link: "Set a new password" },
  },
  async (_, setting) => {
    const link = await resetLink(setting);
    return link === undefined ? undefined : { link };
  },
);

/** As the one below, it says what an answer must not: that is the same for every address. */
export const noRoomMail = mailTemplate(
  {
    name: "no_room",
    about: "When somebody signs up and the plan allows no more users",
    subject: "{{ tenant }}: there is no room",
    body: [
      "Somebody signed up for {{ tenant }} with this address. It has as many users as its plan allows, so nobody was registered. If that was you, ask those who run it.",
    ],
  },
  () => ({}),
);

export const alreadyRegisteredMail = mailTemplate(
  {
    name: "already_registered",
    about: "When somebody signs up with an address that is registered",
    subject: "{{ tenant }}: you are registered already",
    body: [
      "Somebody signed up for {{ tenant }} with this address, which is registered already. Nothing has changed.",
      "{{ link }}",
      "{% if reset_link %}If you don't know the password (any more), choose a new one. The link works once, for one hour.",
      "{{ reset_link }}",
      "{% endif %}If it was not you, do nothing.",
    ],
    links: { link: "Sign in", reset_link: "Set a new password" },
  },
  async (_, setting) => ({
    link: setting.link("/login"),
    reset_link: await resetLink(setting),
  }),
);

const notices = {
  password_changed: "Your password was changed, and all sign-ins were ended.",
  email_changed: "Your e-mail address was changed; this was the old one.",
  factor_added: "A second factor was added to your sign-in, and all other sign-ins were ended.",
  factor_removed:
    "A second factor was removed from your sign-in, and all other sign-ins were ended.",
  factors_reset:
    "An administrator has removed your second factors and recovery codes, and ended all sign-ins.",
  recovery_codes_renewed: "You have new recovery codes; the old ones are no longer good.",
  recovery_code_used: "You were signed in with a recovery code, which is not good a second time.",
  codes_guessed:
    "Somebody who knows your password, or has your device, has tried several wrong codes.",
} as const;

export type Notice = keyof typeof notices;

/** Says that something of an account or a user was changed, so that its owner may object. */
export const noticeMail = mailTemplate<{ readonly what: Notice; readonly at: string }>(
  {
    name: "security_notice",
    about: "After a change to somebody's sign-in",
    subject: "{{ tenant }}: a change to your sign-in",
    body: [
      "{{ what }}",
      "When: {{ at }}.",
      "If it was not you, set a new password and write to us.",
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
