/**
 * How somebody proved who they are, in the words of RFC 8176: the claim `amr` of tokens. `mfa` says
 * that two different factors were proved, and is what a tenant or a person asks for who wants a second
 * one.
 */
export const authenticationMethods = ["pwd", "fed", "otp", "hwk", "swk", "mfa"] as const;

/**
 * `pwd`: a password; `fed`: an outside identity provider (not in the RFC, but widely used); `otp`: a
 * code, of an app or a recovery code; `hwk`, `swk`: a passkey that stays on one device, or may be
 * copied; `mfa`: two factors.
 */
export type AuthenticationMethod = (typeof authenticationMethods)[number];

export type Amr = readonly AuthenticationMethod[];

export const isAmr = (value: unknown): value is Amr =>
  Array.isArray(value) && value.every((method) => authenticationMethods.includes(method));

/** Whether two factors were proved. */
export const hasSecondFactor = (amr: readonly string[]): boolean => amr.includes("mfa");

/** What was proved before, and now. */
export const withMethods = (amr: Amr, ...more: Amr): Amr => [...new Set([...amr, ...more])];
