/**
 * Sets up a factor in two steps. The first issues a TOTP secret or a passkey challenge, kept as a
 * one-time token. The second stores the factor, once a code or passkey response proves it works.
 */

import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Factor } from "../../kernel/identity/factors/factors.ts";
import {
  challengeOf,
  type RegistrationResponseJSON,
  registrationOptions,
  verifyRegistration,
} from "../../kernel/identity/factors/passkeys.ts";
import type { TotpLabel } from "../../kernel/identity/factors/totp.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import type { AuthenticationMethod } from "../../kernel/model/authentication-methods.ts";
import { ownerOf, type Subject, siteFor } from "../accounts/accounts.feature.ts";
import { onlyOne, wrongFactor } from "./prove.ts";

export const tooManyFactors = defineError(
  "too_many_factors",
  409,
  "A user can have at most 20 factors. Remove one first.",
);

const totpPurpose = "totp-enrolment";
const passkeyPurpose = "passkey-registration";
const setupSeconds = 600;
const maxFactors = 20;

interface EnrolmentDeps {
  readonly platform: Platform;
  readonly request: RequestInfo;
}

const emailOf = (subject: Subject): string =>
  "tenant" in subject ? subject.user.email : subject.account.email;

/** The tenant of a user with a password of their own; undefined for an account. */
const tenantOf = (subject: Subject) =>
  ownerOf(subject).tenantId !== null && "tenant" in subject ? subject.tenant : undefined;

const labelOf = ({ mail }: Platform, subject: Subject): TotpLabel => ({
  issuer: tenantOf(subject)?.name ?? mail.brandOf(undefined).name,
  name: emailOf(subject),
});

export async function beginTotp({ platform }: EnrolmentDeps, subject: Subject) {
  const { sealed, ...shown } = platform.factors.beginTotp(labelOf(platform, subject));
  const token = await platform.oneTimeTokens.issue({
    purpose: totpPurpose,
    subject: ownerOf(subject),
    ttlSeconds: setupSeconds,
    detail: { sealed },
  });
  return { token, ...shown };
}

export async function beginPasskey({ platform, request }: EnrolmentDeps, subject: Subject) {
  const owner = ownerOf(subject);
  const site = siteFor(platform.config, tenantOf(subject), request);
  const challenge = await platform.oneTimeTokens.issue({
    purpose: passkeyPurpose,
    subject: owner,
    ttlSeconds: setupSeconds,
  });
  const { issuer: siteName, name } = labelOf(platform, subject);
  const known = await platform.factors.listPasskeys(owner);
  return registrationOptions({ site, subject: owner, name, siteName, challenge, known });
}

export interface NewFactor {
  readonly name?: string;
  readonly totp?: { readonly token: string; readonly code: string };
  readonly passkey?: RegistrationResponseJSON;
}

export interface Added {
  readonly factor: Factor;
  readonly method: AuthenticationMethod;
  /** Only with the first factor. */
  readonly recoveryCodes: readonly string[] | undefined;
}

/** Verifies and stores the factor. @throws wrongFactor, tooManyFactors */
export async function addFactor(
  deps: EnrolmentDeps,
  subject: Subject,
  { name, totp, passkey }: NewFactor,
): Promise<Added> {
  onlyOne({ totp, passkey });
  const { factors, control } = deps.platform;
  const owner = ownerOf(subject);
  const prepared = totp
    ? await prepareTotp(deps, subject, totp, name)
    : await preparePasskey(deps, subject, passkey, name);
  return control.transaction().execute(async (tx) => {
    await inTurn(tx, "factors", owner.id);
    const before = await factors.list(owner, tx);
    if (before.length >= maxFactors) throw tooManyFactors();
    const redeemed = await deps.platform.oneTimeTokens.redeem(prepared.purpose, prepared.token, tx);
    const factor = redeemed && (await prepared.add(tx));
    if (!factor) throw wrongFactor();
    const codes = before.length === 0 ? await factors.renewRecoveryCodes(owner, tx) : undefined;
    return { factor, method: prepared.method, recoveryCodes: codes };
  });
}

type Control = Platform["control"];

interface Prepared {
  readonly purpose: string;
  readonly token: string;
  readonly method: AuthenticationMethod;
  readonly add: (tx: Control) => Promise<Factor | undefined>;
}

async function prepareTotp(
  { platform }: EnrolmentDeps,
  subject: Subject,
  { token, code }: Required<NewFactor>["totp"],
  name = "Authenticator app",
): Promise<Prepared> {
  const owner = ownerOf(subject);
  const sealed = await begunBy(platform, subject, totpPurpose, token);
  return {
    purpose: totpPurpose,
    token,
    method: "otp",
    add: (tx) => platform.factors.addTotp(owner, { name, sealed: sealed.sealed ?? "", code }, tx),
  };
}

async function preparePasskey(
  { platform, request }: EnrolmentDeps,
  subject: Subject,
  response: RegistrationResponseJSON | undefined,
  name = "Passkey",
): Promise<Prepared> {
  const token = response && challengeOf(response);
  if (!response || token === undefined) throw wrongFactor();
  await begunBy(platform, subject, passkeyPurpose, token);
  const site = siteFor(platform.config, tenantOf(subject), request);
  const verified = await verifyRegistration(site, token, response);
  if (!verified) throw wrongFactor();
  const { method, ...passkey } = verified;
  const values = { ...passkey, name, rpId: site.rpId };
  return {
    purpose: passkeyPurpose,
    token,
    method,
    add: (tx) => platform.factors.addPasskey(ownerOf(subject), values, tx),
  };
}

/** The setup that the same person began with this token. @throws wrongFactor */
async function begunBy(
  { oneTimeTokens }: Platform,
  subject: Subject,
  purpose: string,
  token: string,
) {
  const owner = ownerOf(subject);
  const begun = await oneTimeTokens.find(purpose, token);
  if (begun?.subject.id !== owner.id || begun.subject.tenantId !== owner.tenantId) {
    throw wrongFactor();
  }
  return begun.detail;
}
