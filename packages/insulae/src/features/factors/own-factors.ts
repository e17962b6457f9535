/**
 * Users' changes to their own factors. Each needs a recent re-authentication, so that an unlocked
 * screen or a stolen session is not enough to take over the account. A change of sign-in factors
 * ends all sessions and opens a new one for the caller.
 */

import type { BaseContext } from "../../kernel/feature/handler.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { refuseTenantToken, type SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import { authenticationOptions, challengeOf } from "../../kernel/identity/factors/passkeys.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { SessionProof } from "../../kernel/identity/sessions.ts";
import { idOf, subjectOf } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { type Amr, withMethods } from "../../kernel/model/authentication-methods.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import {
  endSessionsOf,
  findSubject,
  isOwnPassword,
  ownerOf,
  type SignedInReply,
  type Subject,
  signIn,
  siteFor,
} from "../accounts/accounts.feature.ts";
import { addFactor, type NewFactor } from "./adding.ts";
import { type Answer, attempt, onlyOne, proveFactor, wrongFactor } from "./prove.ts";
import { replyOf } from "./second-step.ts";
import { notifyOfFactors } from "./tell.ts";

export const reauthenticationRequired = defineError(
  "reauthentication_required",
  403,
  "This needs a recent proof of identity. Call POST /api/v1/auth/reauthenticate, then retry.",
);
export const factorNotFound = defineError("factor_not_found", 404, "There is no such factor");

const freshSeconds = 600;
const purpose = "reauthentication";

/** A request by a signed-in caller. */
export interface OwnDeps {
  readonly platform: Platform;
  readonly request: BaseContext<never, never, never, never>["request"];
  readonly header: BaseContext<never, never, never, never>["header"];
  readonly user: Principal;
  readonly tenant: Tenant | undefined;
  readonly credential: SessionCredential;
}

/** The caller as a sign-in subject and as the owner of factors. */
export async function callerOf({ platform, user }: Pick<OwnDeps, "platform" | "user">) {
  const subject = await findSubject(platform, idOf(user));
  if (!subject) throw invalidToken();
  return { subject, owner: ownerOf(subject) };
}

/**
 * @throws reauthenticationRequired unless the caller has re-authenticated within the last minutes
 */
export async function requireFreshProof({
  platform,
  credential,
}: Pick<OwnDeps, "platform" | "credential">): Promise<SessionProof> {
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof) throw invalidToken();
  if (proof.ageSeconds > freshSeconds) throw reauthenticationRequired();
  return proof;
}

/**
 * Re-authenticates the caller with a factor, or with the password if they have none.
 *
 * @throws wrongFactor, tooManyAttempts, passwordsBusy
 */
export async function reauthenticate(
  deps: OwnDeps,
  { password, ...answer }: Answer & { readonly password?: string },
): Promise<void> {
  onlyOne({ password, ...answer });
  const { platform, credential, user, tenant } = deps;
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof) throw invalidToken();
  const { owner } = await callerOf(deps);
  if ((await platform.factors.list(owner)).length === 0) {
    const right = await attempt(platform, owner, () =>
      isOwnPassword(deps, user, tenant, password ?? ""),
    );
    if (!right) throw wrongFactor();
    await platform.sessions.prove(credential.sessionId, proof.amr);
    return;
  }
  const method = await proveFactor(platform, owner, answer, await challenge(deps, answer));
  await platform.sessions.prove(credential.sessionId, withMethods(proof.amr, method, "mfa"));
}

/** Redeems the challenge that a passkey has answered, if it was issued to this caller. */
async function challenge(deps: OwnDeps, { passkey }: Answer): Promise<string | undefined> {
  const token = passkey && challengeOf(passkey);
  if (token === undefined) return undefined;
  const redeemed = await deps.platform.oneTimeTokens.redeem(purpose, token);
  return redeemed?.detail.session === deps.credential.sessionId ? token : undefined;
}

/** The WebAuthn options for `reauthenticate`. */
export async function reauthenticationOptions(deps: OwnDeps) {
  const { platform, request, credential } = deps;
  const { subject, owner } = await callerOf(deps);
  const site = siteFor(platform.config, tenantOf(subject), request);
  const challenge = await platform.oneTimeTokens.issue({
    purpose,
    // Per session, because a person may re-authenticate on two devices at once.
    subject: subjectOf({ tenant_id: owner.tenantId, subject_id: credential.sessionId }),
    ttlSeconds: freshSeconds,
    detail: { session: credential.sessionId },
  });
  const passkeys = await platform.factors.listPasskeys(owner);
  const known = passkeys.filter(({ rpId }) => rpId === site.rpId);
  return authenticationOptions({ site, challenge, known });
}

const tenantOf = (subject: Subject) =>
  ownerOf(subject).tenantId !== null && "tenant" in subject ? subject.tenant : undefined;

/** @throws reauthenticationRequired, wrongFactor, tooManyFactors, tenantTokenRefused */
export async function addOwnFactor(deps: OwnDeps, given: NewFactor) {
  refuseTenantToken(deps.credential);
  const proof = await requireFreshProof(deps);
  const { subject, owner } = await callerOf(deps);
  const added = await addFactor(deps, subject, given);
  await notifyOfFactors(deps.platform, owner, "factor_added");
  const amr = withMethods(proof.amr, added.method, "mfa");
  return replyOf(added, await startAnew(deps, { amr, provedAt: undefined }));
}

/** @throws reauthenticationRequired, factorNotFound, tenantTokenRefused */
export async function removeOwnFactor(deps: OwnDeps, id: string): Promise<SignedInReply> {
  refuseTenantToken(deps.credential);
  const proof = await requireFreshProof(deps);
  const { owner } = await callerOf(deps);
  if (!(await deps.platform.factors.remove(owner, id))) throw factorNotFound();
  await notifyOfFactors(deps.platform, owner, "factor_removed");
  return startAnew(deps, proof);
}

/** Ends all of the caller's sessions and opens a new one in the same context. */
async function startAnew(
  deps: OwnDeps,
  proof: { readonly amr: Amr; readonly provedAt: Date | undefined },
): Promise<SignedInReply> {
  const { platform, request, credential, header } = deps;
  const { owner } = await callerOf(deps);
  await endSessionsOf(platform, owner);
  const { subject } = await callerOf(deps);
  const browser = credential.kind === "cookie" ? header : undefined;
  const { amr, provedAt } = proof;
  return signIn({ platform, request, browser }, subject, { amr, provedAt });
}
