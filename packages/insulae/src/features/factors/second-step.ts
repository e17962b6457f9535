/** The second step of a log-in: prove a factor or set one up. Both end in `signIn`. */

import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { BaseContext } from "../../kernel/feature/handler.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import {
  type Amr,
  authenticationMethods,
  withMethods,
} from "../../kernel/model/authentication-methods.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import {
  endSessionsOf,
  enrolmentPurpose,
  findSubject,
  ownerOf,
  type SignedInReply,
  type Subject,
  secondFactorPurpose,
  signIn,
} from "../accounts/accounts.feature.ts";
import { addFactor, type NewFactor } from "./adding.ts";
import { type Answer, proveFactor } from "./prove.ts";
import { notifyOfFactors } from "./tell.ts";

export const invalidMfaToken = defineError(
  "invalid_mfa_token",
  401,
  "The mfa_token was used, has expired, or was replaced by a newer log-in. Log in again.",
);

/** A request by somebody whose log-in is not complete. */
export interface SecondStepDeps {
  readonly platform: Platform;
  readonly request: RequestInfo;
  /** The tenant that the host or header names. */
  readonly tenant: Tenant | undefined;
  readonly header: BaseContext<never, never, never, never>["header"];
  readonly audit: TenantAudit;
}

interface Pending {
  readonly subject: Subject;
  readonly amr: Amr;
  readonly wantsCookie: boolean;
}

/** @throws invalidMfaToken, wrongFactor, tooManyAttempts */
export async function finish(
  deps: SecondStepDeps,
  { mfa_token: token, ...answer }: Answer & { readonly mfa_token: string },
): Promise<SignedInReply> {
  const { platform } = deps;
  const pending = await pendingOf(deps, secondFactorPurpose, token);
  const method = await proveFactor(platform, ownerOf(pending.subject), answer, token).catch(
    async (error: unknown) => {
      await note(deps, pending.subject, "failed");
      throw error;
    },
  );
  if (!(await platform.oneTimeTokens.redeem(secondFactorPurpose, token))) throw invalidMfaToken();
  const signedIn = await enter(deps, pending, withMethods(pending.amr, method, "mfa"));
  await note(deps, pending.subject, "succeeded");
  return signedIn;
}

/**
 * The person who may set up a first factor, and nothing else, with this token. @throws
 * invalidMfaToken
 */
export const enrollee = async (deps: SecondStepDeps, token: string): Promise<Subject> =>
  (await pendingOf(deps, enrolmentPurpose, token)).subject;

/** @throws invalidMfaToken, wrongFactor */
export async function enrol(
  deps: SecondStepDeps,
  { mfa_token: token, ...given }: NewFactor & { readonly mfa_token: string },
) {
  const { platform } = deps;
  const pending = await pendingOf(deps, enrolmentPurpose, token);
  const owner = ownerOf(pending.subject);
  // Somebody else with the same password may have set up a factor first.
  if ((await platform.factors.list(owner)).length > 0) throw invalidMfaToken();
  const added = await addFactor(deps, pending.subject, given);
  if (!(await platform.oneTimeTokens.redeem(enrolmentPurpose, token))) throw invalidMfaToken();
  await endSessionsOf(platform, owner);
  await notifyOfFactors(platform, owner, "factor_added");
  // Adding the factor has begun a new epoch: read the subject again.
  const subject = await findSubject(platform, idOf(pending.subject));
  if (!subject) throw invalidToken();
  const amr = withMethods(pending.amr, added.method, "mfa");
  const session = await enter(deps, { ...pending, subject }, amr);
  await note(deps, subject, "succeeded");
  return replyOf(added, session);
}

/** The response to adding a factor. */
export const replyOf = (
  { factor, recoveryCodes }: Awaited<ReturnType<typeof addFactor>>,
  session: SignedInReply,
) => ({ factor, ...(recoveryCodes && { recovery_codes: [...recoveryCodes] }), session });

/**
 * The subject of a pending log-in, unless their sessions have been ended since.
 *
 * @throws invalidMfaToken
 */
async function pendingOf(
  { platform, tenant }: SecondStepDeps,
  purpose: string,
  token: string,
): Promise<Pending> {
  const held = await platform.oneTimeTokens.find(purpose, token);
  if (!held) throw invalidMfaToken();
  const { subject: id, detail } = held;
  if (tenant && id.tenantId !== null && id.tenantId !== tenant.id) throw invalidMfaToken();
  const subject = await findSubject(platform, id);
  if (!subject || subject.epoch !== detail.epoch) throw invalidMfaToken();
  const proved = (detail.amr ?? "").split(" ");
  const amr = authenticationMethods.filter((method) => proved.includes(method));
  return { subject, amr, wantsCookie: detail.session === "cookie" };
}

const enter = (
  { platform, request, header }: SecondStepDeps,
  { subject, wantsCookie }: Pending,
  amr: Amr,
): Promise<SignedInReply> =>
  signIn({ platform, request, browser: wantsCookie ? header : undefined }, subject, { amr });

const note = ({ audit }: SecondStepDeps, subject: Subject, outcome: "succeeded" | "failed") => {
  const { tenantId, id } = idOf(subject);
  return audit({
    action: "auth.second_factor_used",
    outcome,
    tenant: "tenant" in subject ? subject.tenant : null,
    actor: { kind: tenantId === null ? "account" : "user", id },
  });
};

const idOf = (subject: Subject) =>
  "tenant" in subject
    ? { tenantId: subject.tenant.id, id: subject.user.id }
    : { tenantId: null, id: subject.account.id };
