/**
 * Log-in with a passkey alone. The passkey identifies its owner, and the authenticator has verified
 * them (fingerprint, face or PIN): possession and verification together make two factors.
 */
import { randomUUID } from "node:crypto";
import { isOfAccount } from "../../kernel/identity/authority.ts";
import {
  type AuthenticationResponseJSON,
  authenticationOptions,
  challengeOf,
} from "../../kernel/identity/factors/passkeys.ts";
import type { Subject as Owner } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import {
  type AccountSubject,
  destinationOf,
  findMembership,
  findSubject,
  findUserSubject,
  mayEnter,
  type SignedInReply,
  type Subject,
  signIn,
  siteFor,
} from "../accounts/accounts.feature.ts";
import { isVerificationRequired, isVerified } from "../users/users.feature.ts";
import { provePasskey } from "./prove.ts";
import type { SecondStepDeps } from "./second-step.ts";

/** The same error whatever is wrong with the passkey. */
export const invalidPasskey = defineError(
  "invalid_passkey",
  401,
  "The passkey is unknown or the challenge has expired. Start again, or log in another way.",
);

const purpose = "passkey-log-in";
const challengeSeconds = 300;

export async function logInOptions(
  { platform, request }: Pick<SecondStepDeps, "platform" | "request">,
  tenant: Tenant | undefined,
) {
  const challenge = await platform.oneTimeTokens.issue({
    purpose,
    // The owner is not known yet, so the token belongs to a random id.
    subject: { tenantId: null, id: randomUUID() as AccountId },
    ttlSeconds: challengeSeconds,
  });
  const site = siteFor(platform.config, tenant, request);
  return authenticationOptions({ site, challenge, known: undefined });
}

/** @param where the tenant to log in to, if the request names one. @throws invalidPasskey */
export async function logInByPasskey(
  deps: SecondStepDeps,
  where: Tenant | undefined,
  response: AuthenticationResponseJSON,
  wantsCookie: boolean,
): Promise<SignedInReply> {
  const { platform, request, header, audit } = deps;
  const challenge = challengeOf(response);
  const redeemed =
    challenge !== undefined && (await platform.oneTimeTokens.redeem(purpose, challenge));
  const passkey = redeemed && (await platform.factors.findPasskey(response.id));
  if (!challenge || !passkey) throw invalidPasskey();
  // Read before the proof is verified: whatever ends sessions from now on ends this one too.
  const subject = await subjectOf(deps, where, passkey.subject);
  const right =
    subject &&
    (await provePasskey(platform, passkey, { challenge, response, alone: true }).catch(() => {}));
  const event = {
    tenant: subject && "tenant" in subject ? subject.tenant : (where ?? null),
    actor: { kind: passkey.subject.tenantId ? "user" : "account", id: passkey.subject.id },
  } as const;
  if (!right) {
    const detail = { reason: subject ? "invalid_passkey" : "not_here" };
    await audit({ ...event, action: "auth.login_failed", outcome: "failed", detail });
    throw invalidPasskey();
  }
  const browser = wantsCookie ? header : undefined;
  const signedIn = await signIn({ platform, request, browser }, subject, { amr: [right, "mfa"] });
  await audit({ ...event, action: "auth.logged_in", detail: { by: "passkey" } });
  return signedIn;
}

/** The subject that a passkey's owner signs in as; undefined if they can't here. */
async function subjectOf(
  { platform }: SecondStepDeps,
  where: Tenant | undefined,
  owner: Owner,
): Promise<Subject | undefined> {
  const found = await findSubject(platform, owner);
  if (!found) return undefined;
  if ("tenant" in found) {
    const isHere = where === undefined || where.id === found.tenant.id;
    const required = isVerificationRequired(platform.config, found.tenant);
    return isHere && (!required || isVerified(found.user, undefined)) ? found : undefined;
  }
  if (where) return memberOf(platform, where, found);
  const required = isVerificationRequired(platform.config, undefined);
  return required && !found.account.email_verified
    ? undefined
    : destinationOf(platform, found, ["hwk"]);
}

/** An account's user in a tenant. */
async function memberOf(
  platform: SecondStepDeps["platform"],
  tenant: Tenant,
  { account, epoch }: AccountSubject,
): Promise<Subject | undefined> {
  const membership = await findMembership(platform.control, account.id, tenant.id);
  const user = membership && (await findUserSubject(platform, tenant, membership.user_id));
  if (!user || !isOfAccount(user.epoch, epoch)) return undefined;
  return mayEnter(platform, user, account) ? user : undefined;
}
