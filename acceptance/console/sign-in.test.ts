/** The public pages of the console, in a real browser. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath } from "../chromium.ts";
import { adminEmail, adminPassword } from "../server.ts";
import { until } from "../until.ts";
import { type StartedConsole, startConsole } from "./harness.ts";
import { totp } from "./totp.ts";

let started: StartedConsole;

describe.skipIf(!browserPath)("signing in to the console", () => {
  beforeAll(async () => {
    started = await startConsole();
  }, 180_000);
  afterAll(() => started?.stop());

  const signIn = async (page: Page, login: string, password: string): Promise<void> => {
    await page.getByLabel("E-mail or user name").fill(login);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
  };
  const post = async (path: string, body: object, headers: object = {}) => {
    const response = await fetch(`${started.server.url}/api/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: what each test expects of it
    const answer: any = await response.json();
    expect(response.ok, JSON.stringify(answer)).toBe(true);
    return answer;
  };

  test("the page is accessible in light and dark, wide and narrow, in English and German", async () => {
    for (const dark of [false, true]) {
      for (const width of [320, 1440]) {
        const page = await started.open("sign-in", {
          dark,
          width,
          language: dark ? "de" : "en",
        });
        await page.getByRole("button", { name: dark ? "Anmelden" : "Sign in" }).waitFor();
        await started.expectAccessible(page);
        started.expectFaultless(page);
        expect(
          await page.evaluate("document.documentElement.scrollWidth"),
          "nothing sticks out",
        ).toBeLessThanOrEqual(width);
        await page.close();
      }
    }
  });

  test("a wrong password is said in words, and the right one leads to where one wanted to go", async () => {
    const page = await started.open("p/tenants?q=acme", {
      announced: ["401 /auth/me", "401 /auth/login"],
    });
    await signIn(page, adminEmail, "not-The-passphrase-1");
    expect(await page.getByRole("alert").filter({ hasText: /./ }).textContent()).not.toBe("");
    await signIn(page, adminEmail, adminPassword);
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    expect(page.url()).toBe(`${started.url}/console/p/tenants?q=acme`);
    started.expectFaultless(page);

    await page.getByRole("button", { name: /^Account/ }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Password").waitFor();
    await page.close();
  });

  test("signing out in one tab empties the other", async () => {
    const first = await started.openAsAdmin("p/tenants");
    const second = await started.open("p/tenants");
    await second.getByRole("heading", { name: "Tenants" }).waitFor();
    await first.getByRole("button", { name: /^Account/ }).click();
    await first.getByRole("button", { name: "Sign out" }).click();
    await second.getByLabel("Password").waitFor();
    await Promise.all([first.close(), second.close()]);
  });

  test("a second factor is asked for: a wrong code is refused, a recovery code is taken", async () => {
    const person = { email: "ada@example.com", password: "a-Fine-passphrase-7" };
    const { access_token } = await post("/auth/register", person);
    const headers = { authorization: `Bearer ${access_token}` };
    const { secret, token } = await post("/auth/factors/totp", {}, headers);
    const { recovery_codes } = await post(
      "/auth/factors",
      { totp: { token, code: totp(secret) } },
      headers,
    );

    const page = await started.open("sign-in", {
      announced: ["401 /auth/login", "401 /auth/second-factor"],
    });
    await signIn(page, person.email, person.password);
    const code = page.getByLabel("Code of your authenticator app");
    await code.fill("000000");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
    await started.expectAccessible(page);
    await code.fill(recovery_codes[0]);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.waitForURL(/\/console\/me/);
    await page.getByRole("heading", { level: 1 }).waitFor();
    started.expectFaultless(page);
    await page.context().clearCookies();
    await page.close();
  });

  test("a forgotten password is set anew by the mail's link", async () => {
    const person = { email: "grace@example.com", password: "a-Fine-passphrase-8" };
    await post("/auth/register", person);
    const page = await started.open("forgot-password");
    await page.getByLabel("E-mail").fill(person.email);
    await page.getByRole("button", { name: "Send the link" }).click();
    await page.getByRole("status").filter({ hasText: "on its way" }).waitFor();
    const link = await until("the mail with the link has been sent", async () => {
      const url = `${started.server.url}/api/v1/dev/mails?to=${person.email}`;
      const mails = await (await fetch(url)).text();
      return /password-reset\?token=([\w.%-]+)/.exec(mails)?.[0];
    });
    await page.goto(`${started.url}/console/${link}`);
    await page.getByLabel("New password").fill("another-Passphrase-9");
    expect(page.url(), "the token has left the address").not.toContain("token");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, person.email, "another-Passphrase-9");
    await page.waitForURL(/\/console\/me/);
    await page.getByRole("heading", { level: 1 }).waitFor();
    started.expectFaultless(page);
    await page.close();
  });

  test("a session that ends under a form is opened again, and what was typed is saved", async () => {
    const page = await started.openAsAdmin("p/tenants", {
      announced: ["401 /tenants/initech", "401 /auth/me"],
    });
    await page.getByRole("button", { name: "New tenant" }).first().click();
    const form = page.getByRole("dialog", { name: "New tenant" });
    await form.getByLabel("Name").fill("Initech");
    await form.getByLabel("Key").fill("initech");
    await form.getByRole("button", { name: "New tenant" }).click();
    await page.getByRole("tab", { name: "Settings" }).click();
    await page.getByRole("button", { name: "Edit name and plan" }).click();
    await page.getByLabel("Name").fill("Initech International");
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Save" }).click();
    const overlay = page.getByRole("dialog", { name: "Sign in again" });
    await started.expectAccessible(page);
    await overlay.getByLabel("E-mail or user name").fill(adminEmail);
    await overlay.getByLabel("Password").fill(adminPassword);
    await overlay.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { name: "Initech International" }).waitFor();
    const sent = started.requestsOf(page).filter((each) => each.startsWith("PATCH /tenants/"));
    expect(sent).toHaveLength(2);
    await page.close();
  });
});
