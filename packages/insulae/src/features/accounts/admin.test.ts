import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPasswords } from "../../kernel/identity/passwords.ts";
import { createTestInstallation, type TestInstallation } from "../../testing/test-installation.ts";
import { findAccount } from "./accounts.queries.ts";
import { ensureAdmin } from "./admin.ts";

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createTestInstallation([]);
});
afterAll(() => installation?.close());

const passwords = createPasswords({ memoryKib: 64, passes: 1 });
const startFresh = () => installation.control.deleteFrom("control.accounts").execute();
const ensure = (given: Parameters<typeof ensureAdmin>[2] = {}) =>
  ensureAdmin(installation.control, passwords, given);

describe("the first platform administrator", () => {
  it("is made once, with a password that is shown once", async () => {
    await startFresh();
    const made = await ensure();
    expect(made).toMatchObject({ created: true, email: "admin@localhost.test" });
    expect(made.password).toMatch(/^[\w-]{20}$/);
    const account = await findAccount(installation.control, "email", made.email);
    expect(account).toMatchObject({ platform_admin: true, is_active: true, email_verified: true });
    expect(await passwords.verify(made.password ?? "", account?.password_hash)).toBe(true);
    expect(await ensure({ email: "other@example.org" })).toEqual({
      created: false,
      email: made.email,
    });
  });

  it("has the e-mail and the password that were given", async () => {
    await startFresh();
    const given = { email: " Root@Example.ORG", password: "a given password" };
    expect(await ensure(given)).toEqual({ created: true, email: "root@example.org" });
    const account = await findAccount(installation.control, "email", "root@example.org");
    expect(await passwords.verify(given.password, account?.password_hash)).toBe(true);
  });

  it("takes over an account that a stranger registered under the e-mail before", async () => {
    await startFresh();
    const email = "admin@example.org";
    await installation.control
      .insertInto("control.accounts")
      .values({ email, password_hash: await passwords.hash("the stranger's own") })
      .execute();
    expect(await ensure({ email, password: "the real one's" })).toMatchObject({ created: true });
    const account = await findAccount(installation.control, "email", email);
    expect(account?.platform_admin).toBe(true);
    expect(await passwords.verify("the stranger's own", account?.password_hash)).toBe(false);
  });

  it("is made by one of the nodes that start together", async () => {
    for (let round = 0; round < 5; round += 1) {
      await startFresh();
      const all = await Promise.all([ensure(), ensure(), ensure(), ensure()]);
      const [maker, ...others] = all.filter(({ created }) => created);
      expect(others).toEqual([]);
      const account = await findAccount(installation.control, "email", maker?.email ?? "");
      expect(await passwords.verify(maker?.password ?? "", account?.password_hash)).toBe(true);
    }
  });

  it("does not get a weak password", async () => {
    await startFresh();
    await expect(ensure({ password: "password1" })).rejects.toMatchObject({
      code: "weak_password",
    });
  });
});
