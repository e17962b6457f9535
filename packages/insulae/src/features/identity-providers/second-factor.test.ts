import { decodeJwt } from "jose";
import { Secret, TOTP } from "otpauth";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { type Configured, signInTools } from "./sign-in-fixture.ts";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

const step = "/api/v1/auth/second-factor";
const codeOf = (secret: string): string =>
  TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() });

const askForSecondFactor = async (at: Configured, wanted: "required" | "optional") => {
  const changed = await people.app.tenants.update(at.tenant.id, {
    settings: { second_factor: wanted },
  });
  expect(changed.settings.second_factor).toBe(wanted);
};
const required = async (more: object = {}) => {
  const at = await tools.configure(more, true);
  await askForSecondFactor(at, "required");
  return at;
};
const outcome = async (at: Configured) => {
  const { body } = await tools.signIn(at);
  return body.code ?? decodeJwt(body.token).amr;
};

describe("a second factor, after an outside provider", () => {
  it("is asked for here unless the provider has, by what it says or as the tenant trusts", async () => {
    const at = await required({ second_factor_acr: ["gold"] });
    expect(await outcome(at)).toBe("second_factor_required");
    at.provider.proof = { amr: ["pwd"], acr: "silver" };
    expect(await outcome(at)).toBe("second_factor_required");
    at.provider.proof = { amr: ["pwd", "mfa"] };
    expect(await outcome(at)).toEqual(["fed", "mfa"]);
    at.provider.proof = { acr: "gold" };
    expect(await outcome(at)).toEqual(["fed", "mfa"]);
    at.provider.proof = {};
    expect(await outcome(at)).toBe("second_factor_required");
    const trusted = await required({ trust_second_factor: true });
    expect(await outcome(trusted)).toEqual(["fed", "mfa"]);
  });

  it("is set up here by who has none, and then asked for each time, whatever the tenant asks for", async () => {
    // Codes are made and judged by the clock of this process.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    onTestFinished(() => void vi.useRealTimers());
    const at = await required();
    const { body: first } = await tools.signIn(at);
    expect(first).toMatchObject({ code: "second_factor_required", enrolment: true });
    const { mfa_token } = first;
    const begun = await people.post(`${step}/totp`, { body: { mfa_token } });
    const { token, secret } = begun.body;
    const body = { mfa_token, totp: { token, code: codeOf(secret) } };
    const done = await people.post(`${step}/enrolment`, { body });
    expect(done.status, done.text).toBe(201);
    expect(decodeJwt(done.body.session.token).amr).toEqual(["fed", "otp", "mfa"]);
    await askForSecondFactor(at, "optional");
    vi.setSystemTime(Date.now() + 30_000);
    const { body: second } = await tools.signIn(at);
    expect(second).toMatchObject({ code: "second_factor_required", enrolment: false });
    const answer = { mfa_token: second.mfa_token, code: codeOf(secret) };
    const proved = await people.post(step, { body: answer });
    expect(proved.status, proved.text).toBe(200);
    expect(proved.body.user.email).toBe(at.provider.person.email);
    expect(decodeJwt(proved.body.token).amr).toEqual(["fed", "otp", "mfa"]);
  });
});
