import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { addApp, auth, codeOf, secondFactor, stopClock } from "../factors/factors-fixture.ts";
import { type Configured, signInTools } from "./sign-in-fixture.ts";

let people: TestPeople;
let tools: ReturnType<typeof signInTools>;
beforeAll(async () => {
  people = await openTestPeople();
  tools = signInTools(people);
});
afterAll(() => people?.close());

const required = async (more: object = {}) => {
  const at = await tools.configure(more, true);
  const { status } = await people.patch(`/api/v1/tenants/${at.tenant.id}`, {
    token: at.owner.token,
    body: { settings: { second_factor: "required" } },
  });
  expect(status).toBe(200);
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

  it("is set up here by who has none, and then asked for each time", async () => {
    const clock = stopClock();
    try {
      const at = await required();
      const { body: first } = await tools.signIn(at);
      expect(first).toMatchObject({ code: "second_factor_required", enrolment: true });
      const { mfa_token } = first;
      const begun = await people.post(`${auth}/second-factor/totp`, { body: { mfa_token } });
      const totp = { token: begun.body.token, code: codeOf(begun.body.secret) };
      const body = { mfa_token, totp };
      const done = await people.post(`${auth}/second-factor/enrolment`, { body });
      expect(done.status, done.text).toBe(201);
      expect(decodeJwt(done.body.session.token).amr).toEqual(["fed", "otp", "mfa"]);
      clock.later();
      const { body: second } = await tools.signIn(at);
      expect(second).toMatchObject({ code: "second_factor_required", enrolment: false });
      const proved = await secondFactor(people, second.mfa_token, {
        code: codeOf(begun.body.secret),
      });
      expect(proved.status, proved.text).toBe(200);
      expect(proved.body.user.email).toBe(at.provider.person.email);
    } finally {
      clock.go();
    }
  });

  it("of one's own is asked for where the tenant asks for none", async () => {
    const clock = stopClock();
    try {
      const at = await tools.configure();
      const { body } = await tools.signIn(at);
      await addApp(people, body.token);
      expect(await outcome(at)).toBe("second_factor_required");
    } finally {
      clock.go();
    }
  });
});
