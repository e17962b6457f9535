/** Test users with second factors. */
import { Secret, TOTP } from "otpauth";
import { afterAll, beforeAll, expect, vi } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { TestPeople } from "../../testing/test-people.ts";

export const auth = "/api/v1/auth";

/**
 * Fakes the clock that codes are generated and checked with, for the file or the `describe` that calls it.
 * `later` advances it.
 */
export function stopClock() {
  beforeAll(() => void vi.useFakeTimers({ toFake: ["Date"], now: Date.now() }));
  afterAll(() => void vi.useRealTimers());
  return {
    /** By one TOTP step unless given. */
    later: (seconds = 30) => vi.setSystemTime(Date.now() + seconds * 1000),
  };
}

export const codeOf = (secret: string): string =>
  TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() });

/**
 * Sets up an app for a signed-in user and advances the clock one step, so the next code is valid.
 */
export async function addApp(people: TestPeople, token: string, tenant?: Tenant) {
  const request = { token, ...(tenant && { tenant: tenant.key }) };
  const begun = await people.post(`${auth}/factors/totp`, request);
  expect(begun.status, begun.text).toBe(200);
  const { secret, uri } = begun.body;
  const body = { totp: { token: begun.body.token, code: codeOf(secret) } };
  const added = await people.post(`${auth}/factors`, { ...request, body });
  expect(added.status, added.text).toBe(201);
  vi.setSystemTime(Date.now() + 30_000);
  return {
    secret: secret as string,
    uri: uri as string,
    id: added.body.factor.id as string,
    codes: added.body.recovery_codes as string[],
    token: added.body.session.access_token as string,
    refreshToken: added.body.session.refresh_token as string,
  };
}

/** Logs in with the correct password; returns any response. */
export const logIn = (people: TestPeople, email: string, tenant?: Tenant, more: object = {}) =>
  people.post(`${auth}/login`, {
    ...(tenant && { tenant: tenant.key }),
    body: { email, password: people.password, ...more },
  });

export const secondFactor = (people: TestPeople, mfa_token: string, answer: object) =>
  people.post(`${auth}/second-factor`, { body: { mfa_token, ...answer } });
