import type { Static } from "typebox";
import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
import { isQuotaUsedUp } from "../../kernel/tenancy/plans.ts";
import { canonicalEmail } from "../../kernel/validation/email.ts";
import { isDomainOf } from "../email-domains/email-domains.feature.ts";
import {
  alreadyRegisteredMail,
  canonicalUsername,
  createUser,
  createUserUnlessTaken,
  isRegistrationOpen,
  isUsernameTaken,
  isVerificationRequired,
  noRoomMail,
  type UserTables,
  type UserView,
  usernameTaken,
  verificationMail,
} from "../users/users.feature.ts";
import {
  type AccountView,
  findAccountByEmail,
  insertAccount,
  insertAccountUnlessTaken,
} from "./accounts.queries.ts";
import type { Registration, VerificationPending } from "./accounts.schemas.ts";
import { auditSignedIn } from "./audit-signed-in.ts";
import { findAccountSubject, findUserSubject, type SignedInReply, signIn } from "./sign-in.ts";
import type { SignInContext } from "./sign-in-subject.ts";

export const registrationClosed = defineError(
  "registration_closed",
  403,
  "This tenant does not accept registrations",
);
/** Alternatives to offer. A tenant's domains are no secret: they are in the public DNS. */
const waysIn = {
  domain:
    "Register without a tenant, verify your e-mail address, and join by its domain: POST /api/v1/tenants/{id}/join.",
  invitation: "Ask for an invitation.",
} as const;
/** The same refusal for a tenant that takes no registrations and for one that does not exist. */
export const invitationOnly = () => registrationClosed({ detail: waysIn.invitation });

/** Anybody can register any address, repeatedly, because the response does not say it is taken. */
const atMostHourly = 5;

type Person = Omit<Static<typeof Registration>, "tenant" | "session">;

interface RegistrationDeps extends SignInContext {
  readonly audit: TenantAudit;
  readonly log: Logger;
}

export interface RegistrationOptions {
  /** Whether the first user of an empty tenant becomes its owner. Never in production. */
  readonly firstOwns?: boolean;
}

/**
 * Registers a user of the tenant, or without a tenant an account, and signs them in.
 *
 * @throws registrationClosed, emailTaken, usernameTaken, invalidEmail, invalidUsername,
 *   weakPassword, passwordsBusy
 */
export async function register(
  deps: RegistrationDeps,
  where: Tenant | undefined,
  person: Person,
  options: RegistrationOptions = {},
): Promise<SignedInReply | Pending["reply"]> {
  const { audit, log } = deps;
  const reply = await (where
    ? registerUser(deps, where, person, options)
    : registerAccount(deps, person));
  if ("taken" in reply) {
    await audit(
      reply.taken
        ? {
            action: "auth.registration_refused",
            outcome: "refused",
            tenant: where ?? null,
            detail: { reason: "email_taken" },
          }
        : { action: "auth.registered", tenant: where ?? null },
    );
    return reply.reply;
  }
  await auditSignedIn(audit, "auth.registered", reply, where);
  log.info({ user_id: reply.user.id, tenant_id: where?.id }, "User registered");
  return reply;
}

/**
 * Nobody is signed in yet, and the response is the same whether or not a user was created. Where no
 * verification is needed, registration signs in at once and can't hide a taken e-mail
 * (`emailTaken`).
 */
interface Pending {
  readonly reply: Static<typeof VerificationPending>;
  /** The address was already registered. For the audit log, never for a response. */
  readonly taken: boolean;
}

const pending = (email: string, made: boolean): Pending => ({
  reply: { verification_required: true, email },
  taken: !made,
});

/**
 * Creates a user of the tenant with the role `user`, or `owner` for the first one under
 * `firstOwns`.
 *
 * @throws registrationClosed, invalidEmail, invalidUsername, weakPassword, passwordsBusy
 */
async function registerUser(
  context: SignInContext,
  tenant: Tenant,
  { username, ...person }: Person,
  { firstOwns = false }: RegistrationOptions,
): Promise<SignedInReply | Pending> {
  const { platform } = context;
  if (!isRegistrationOpen(platform.config, tenant)) {
    const joins = await isDomainOf(platform.control, tenant, canonicalEmail(person.email));
    throw joins ? registrationClosed({ detail: waysIn.domain }) : invitationOnly();
  }
  const values = {
    ...(await valuesOf(platform, tenant, person)),
    ...(username !== undefined && { username: canonicalUsername(username) }),
    role: firstOwns && (await isEmpty(platform, tenant)) ? "owner" : "user",
  };
  if (isVerificationRequired(platform.config, tenant)) {
    return platform.withTenant<UserTables, Pending>(tenant, async ({ db, mail }) => {
      // Checked whether or not the e-mail is taken: otherwise the error would reveal which.
      if (values.username !== undefined && (await isUsernameTaken(db, values.username))) {
        throw usernameTaken();
      }
      const outcome = await createUserUnlessTaken(db, values).catch((error: unknown) => {
        if (isQuotaUsedUp(error)) return "no room" as const;
        throw error;
      });
      const template =
        outcome === "no room" ? noRoomMail : outcome ? verificationMail : alreadyRegisteredMail;
      await mail.send(template, { to: values.email, variables: {}, atMostHourly });
      return pending(values.email, outcome === true);
    });
  }
  const user = await platform.withTenant<UserTables, UserView | undefined>(tenant, ({ events }) =>
    events.recording("user.created", (db) => createUser.first(db, values)),
  );
  const subject = user && (await findUserSubject(platform, tenant, user.id));
  if (!subject) throw registrationClosed();
  const letter = { to: values.email, tenant, variables: {}, atMostHourly };
  await platform.mail.send(verificationMail, letter);
  return signIn(context, subject);
}

/**
 * Creates an account, which may then create tenants (`is_owner`) or join existing ones.
 *
 * @throws invalidEmail, weakPassword, passwordsBusy
 */
async function registerAccount(
  context: SignInContext,
  { username, ...person }: Person,
): Promise<SignedInReply | Pending> {
  const { platform } = context;
  if (username !== undefined) {
    const message = "only users of a tenant have a username; leave it out";
    throw validationFailed({ errors: [{ pointer: "/body/username", message }] });
  }
  const { control, mail } = platform;
  const values = { ...(await valuesOf(platform, undefined, person)), is_owner: true };
  const letter = { to: values.email, variables: {}, atMostHourly };
  if (isVerificationRequired(platform.config, undefined)) {
    return control.transaction().execute(async (tx) => {
      const made = await insertAccountUnlessTaken(tx, values);
      await mail.send(made ? verificationMail : alreadyRegisteredMail, letter, tx);
      return pending(values.email, made);
    });
  }
  const id = await control.transaction().execute(async (tx) => {
    const account = await insertAccount(tx, values);
    await mail.send(verificationMail, letter, tx);
    return account.id;
  });
  const subject = await findAccountSubject(platform, id);
  if (!subject) throw invalidCredentials();
  return signIn(context, subject);
}

interface NewAccount extends Pick<Person, "email" | "password"> {
  readonly first_name?: string | undefined;
  readonly last_name?: string | undefined;
}

/**
 * Creates an account whose e-mail address has already been proved.
 *
 * @returns undefined if the e-mail has an account already
 * @throws weakPassword, passwordsBusy
 */
export async function createVerifiedAccount(
  platform: Platform,
  person: NewAccount,
): Promise<AccountView | undefined> {
  const values = {
    ...(await valuesOf(platform, undefined, person)),
    is_owner: true,
    email_verified: true,
  };
  if (!(await insertAccountUnlessTaken(platform.control, values))) return undefined;
  return findAccountByEmail(platform.control, values.email);
}

async function valuesOf(
  { passwords }: Platform,
  tenant: Tenant | undefined,
  { email, password, first_name, last_name }: NewAccount,
) {
  const address = canonicalEmail(email);
  return {
    email: address,
    password_hash: await passwords.of(tenant).hash(password),
    first_name: first_name?.trim() ?? "",
    last_name: last_name?.trim() ?? "",
  };
}

async function isEmpty({ config, withTenant }: Platform, tenant: Tenant): Promise<boolean> {
  if (config.env === "production") return false;
  const anybody = await withTenant<UserTables, unknown>(tenant, ({ db }) =>
    db.selectFrom("users").select("id").limit(1).executeTakeFirst(),
  );
  return anybody === undefined;
}
