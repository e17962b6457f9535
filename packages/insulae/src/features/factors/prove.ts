/**
 * Verifies a factor: a TOTP code, a recovery code or a passkey response. Used at log-in and for
 * re-authentication.
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import type { KnownPasskey } from "../../kernel/identity/factors/factors.ts";
import {
  type AuthenticationResponseJSON,
  type PasskeyAnswer,
  verifyAuthentication,
} from "../../kernel/identity/factors/passkeys.ts";
import type { Subject as Owner } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import type { AuthenticationMethod } from "../../kernel/model/authentication-methods.ts";
import { sitesOf } from "../accounts/accounts.feature.ts";
import { notifyOfFactors } from "./tell.ts";

export const wrongFactor = defineError(
  "wrong_factor",
  401,
  "The code or passkey is wrong, has expired, or was already used. Try again with a new one.",
);
export const tooManyAttempts = defineError(
  "too_many_attempts",
  429,
  "Too many wrong codes. Wait for Retry-After, then try again.",
);

export interface Answer {
  readonly code?: string;
  readonly recovery_code?: string;
  readonly passkey?: AuthenticationResponseJSON;
}

/**
 * @param challenge the challenge that a passkey must have answered
 * @returns how the owner authenticated
 * @throws wrongFactor, tooManyAttempts
 */
export async function proveFactor(
  platform: Platform,
  owner: Owner,
  answer: Answer,
  challenge: string | undefined,
): Promise<AuthenticationMethod> {
  const { code, recovery_code, passkey } = answer;
  onlyOne(answer);
  const { factors } = platform;
  if (passkey) {
    const known = await factors.findPasskey(passkey.id);
    if (!known || !isSame(known.subject, owner) || challenge === undefined) throw wrongFactor();
    return provePasskey(platform, known, { challenge, response: passkey, alone: false });
  }
  const right = await attempt(platform, owner, () =>
    code === undefined
      ? factors.useRecoveryCode(owner, recovery_code ?? "")
      : factors.useCode(owner, code),
  );
  if (!right) throw wrongFactor();
  if (recovery_code !== undefined) await notifyOfFactors(platform, owner, "recovery_code_used");
  return "otp";
}

/**
 * Checks a guessable secret, unless the owner has to wait after too many wrong ones.
 *
 * @throws tooManyAttempts
 */
export async function attempt(
  platform: Platform,
  owner: Owner,
  isRight: () => Promise<boolean>,
): Promise<boolean> {
  const { allowed, pauseSeconds, isLast } = await platform.factors.attempt(owner);
  if (!allowed) {
    throw tooManyAttempts({
      detail: `After five wrong codes each further one doubles the wait. Try again in ${pauseSeconds} seconds.`,
      headers: { "retry-after": String(pauseSeconds) },
    });
  }
  if (await isRight()) {
    await platform.factors.forgive(owner);
    return true;
  }
  if (isLast) await notifyOfFactors(platform, owner, "codes_guessed");
  return false;
}

/** @throws wrongFactor */
export async function provePasskey(
  { config, factors, tenants }: Platform,
  passkey: KnownPasskey,
  answer: Pick<PasskeyAnswer, "challenge" | "response" | "alone">,
): Promise<"hwk" | "swk"> {
  const { subject } = passkey;
  const tenant = subject.tenantId === null ? undefined : await tenants.find(subject.tenantId);
  // A host that the tenant no longer has is no relying party either.
  const site = sitesOf(config, tenant).find(({ rpId }) => rpId === passkey.rpId);
  const right = site && (await verifyAuthentication({ ...answer, site, passkey, subject }));
  if (!right || !(await factors.usePasskey(passkey.id, right))) throw wrongFactor();
  return right.method;
}

const isSame = (one: Owner, other: Owner): boolean =>
  one.id === other.id && one.tenantId === other.tenantId;

/** @throws validationFailed unless exactly one property is given */
export function onlyOne(given: object): void {
  if (Object.values(given).filter((value) => value !== undefined).length === 1) return;
  const message = `give exactly one of ${Object.keys(given).join(", ") || "them"}`;
  throw validationFailed({ errors: [{ pointer: "/body", message }] });
}
