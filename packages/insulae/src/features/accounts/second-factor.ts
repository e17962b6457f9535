/**
 * The second-factor check in `signIn`. It asks everybody who has a second factor, and everybody in
 * a tenant with `second_factor: required`; there, people without a factor may only set one up.
 * Until then there is no session: the response is 401 `second_factor_required` with an `mfa_token`,
 * a one-time token that is valid for the next step only (`features/factors`).
 *
 *     signIn ── mfa in amr? ── yes ─────────────────────────────────► session
 *                  │ no
 *                  ├─ not required, none set up─────────────────────► session
 *                  ├─ has factors ──► mfa_token ──► POST second-factor ──► signIn
 *                  └─ has none ─────► mfa_token ──► set one up ──────────► signIn
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import { secondFactorRequired } from "../../kernel/identity/errors.ts";
import { authenticationOptions } from "../../kernel/identity/factors/passkeys.ts";
import type { Subject as Owner } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import { type Amr, hasSecondFactor } from "../../kernel/model/authentication-methods.ts";
import type { SignInContext, Subject } from "./sign-in-subject.ts";
import { siteFor } from "./sites.ts";

/** The purposes of an `mfa_token`. */
export const secondFactorPurpose = "second-factor";
export const enrolmentPurpose = "second-factor-enrolment";

const tokenSeconds = 600;

export const administratorNeedsFactor = defineError(
  "administrator_needs_factor",
  403,
  "This tenant requires a second factor. Sign in with yours first.",
);

/** The owner of the factors to check: the linked account if there is one, otherwise the user. */
export function ownerOf(subject: Subject): Owner {
  if (!("tenant" in subject)) return { tenantId: null, id: subject.account.id };
  const { tenant, user, accountId } = subject;
  return accountId === null
    ? { tenantId: tenant.id, id: user.id }
    : { tenantId: null, id: accountId };
}

const isRequired = (subject: Subject): boolean =>
  "tenant" in subject && subject.tenant.settings.second_factor === "required";

/** Whether sign-in needs another factor beyond `amr`. */
export async function isMoreAsked(
  { factors }: Pick<Platform, "factors">,
  subject: Subject,
  amr: Amr,
): Promise<boolean> {
  if (hasSecondFactor(amr)) return false;
  return isRequired(subject) || (await factors.list(ownerOf(subject))).length > 0;
}

/**
 * Passes if the factors proved so far are enough, otherwise throws. An impersonating administrator
 * can't present the user's factors; in a tenant that requires two, the administrator's own are
 * checked.
 *
 * @throws secondFactorRequired, administratorNeedsFactor
 */
export async function enforceSecondFactor(
  context: SignInContext,
  subject: Subject,
  { amr, impersonator }: { readonly amr: Amr; readonly impersonator: AccountId | undefined },
): Promise<void> {
  const { platform, browser } = context;
  if (hasSecondFactor(amr)) return;
  if (impersonator !== undefined) {
    if (isRequired(subject)) throw administratorNeedsFactor();
    return;
  }
  const owner = ownerOf(subject);
  const factors = await platform.factors.list(owner);
  if (factors.length === 0 && !isRequired(subject)) return;
  const enrolment = factors.length === 0;
  const token = await platform.oneTimeTokens.issue({
    purpose: enrolment ? enrolmentPurpose : secondFactorPurpose,
    subject: idOf(subject),
    ttlSeconds: tokenSeconds,
    several: true,
    detail: { epoch: subject.epoch, amr: amr.join(" "), session: browser ? "cookie" : "token" },
  });
  await note(context, subject);
  const next = enrolment
    ? { methods: ["totp", "passkey"] }
    : await methodsOf(context, subject, owner, token, factors);
  throw secondFactorRequired({
    members: { mfa_token: token, expires_in: tokenSeconds, enrolment, ...next },
  });
}

/**
 * The factors they can answer with. The token doubles as the passkey challenge: fresh, single use.
 */
async function methodsOf(
  { platform, request }: SignInContext,
  subject: Subject,
  owner: Owner,
  token: string,
  factors: Awaited<ReturnType<Platform["factors"]["list"]>>,
) {
  const kinds = new Set(factors.map(({ kind }) => kind));
  const tenant = owner.tenantId !== null && "tenant" in subject ? subject.tenant : undefined;
  const site = siteFor(platform.config, tenant, request);
  const passkeys = (await platform.factors.listPasskeys(owner)).filter(
    ({ rpId }) => rpId === site.rpId,
  );
  const hasCodes = (await platform.factors.recoveryCodesLeft(owner)) > 0;
  return {
    methods: [
      ...(kinds.has("totp") ? ["totp"] : []),
      ...(passkeys.length > 0 ? ["passkey"] : []),
      ...(hasCodes ? ["recovery_code"] : []),
    ],
    ...(passkeys.length > 0 && {
      passkey: await authenticationOptions({ site, challenge: token, known: passkeys }),
    }),
  };
}

/** Audits the correct password even if the second factor never follows. */
const note = ({ platform, request }: SignInContext, subject: Subject): Promise<void> =>
  platform.audit({
    action: "auth.second_factor_requested",
    tenant: "tenant" in subject ? subject.tenant : undefined,
    actor:
      "tenant" in subject
        ? { kind: "user", id: subject.user.id, name: subject.user.email }
        : { kind: "account", id: subject.account.id, name: subject.account.email },
    ip: request.ip,
    userAgent: request.headers["user-agent"]?.toString(),
    requestId: request.id,
  });

/** The subject as one-time tokens identify it. */
const idOf = (subject: Subject): Owner =>
  "tenant" in subject
    ? { tenantId: subject.tenant.id, id: subject.user.id }
    : { tenantId: null, id: subject.account.id };
