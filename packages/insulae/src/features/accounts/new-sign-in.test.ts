import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

it("a sign-in from a new device is told to the account, one from a known device is not", async () => {
  const { account } = await people.newAccount();
  const logIn = async (userAgent: string, session = "token") => {
    const reply = await people.app.inject({
      method: "POST",
      url: "/api/v1/auth/login",
      headers: { "user-agent": userAgent },
      payload: { email: account.email, password: people.password, session },
    });
    expect(reply.statusCode).toBe(200);
  };
  await logIn("Firefox/140.0 <b>");
  await logIn("Firefox/141.0 <b>");
  await logIn("Chrome/1", "cookie");
  const [, first, second, ...others] = await people.mailsTo(account.email, 3);
  expect([first?.template, second?.template, others]).toEqual(["new_sign_in", "new_sign_in", []]);
  expect(first?.text).toContain("Firefox/140.0 <b>");
  expect(first?.html).toContain("Firefox/140.0 &lt;b&gt;");
  expect(second?.text).toContain("Chrome/1");
});
