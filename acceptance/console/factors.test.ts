/** Passkeys and authenticator apps in the console: added, asked for, and demanded by a tenant. */
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath, launchBrowser } from "../chromium.ts";
import { clientOf } from "../client.ts";
import { temporaryFolder } from "../server.ts";
import { until } from "../until.ts";
import { type Person, type StartedConsole, signIn, startConsole } from "./harness.ts";
import { makeTenant, makeUser } from "./people.ts";
import { totp } from "./totp.ts";

const password = "a-Fine-passphrase-7";
let started: StartedConsole;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** Somebody else's browser: the administrator's session is not in it. */
let context: BrowserContext;

describe.skipIf(!browserPath)("in the console", () => {
  beforeAll(async () => {
    started = await startConsole();
    folder = await temporaryFolder();
    context = await launchBrowser(folder.path);
  });
  afterAll(async () => {
    await context?.close();
    await started?.stop();
    await folder?.remove();
  });

  async function register(name: string): Promise<Person> {
    const email = `${name}@example.com`;
    const body = { email, password, first_name: name };
    const reply = await clientOf(started.url)("POST", "/api/v1/auth/register", { body });
    expect(reply.status).toBe(201);
    return { login: email, password };
  }
  const leave = async (page: Page) => {
    await page.getByRole("button", { name: /^Account/ }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
  };
  const signOut = async (page: Page) => {
    await leave(page);
    await page.getByLabel("Password").waitFor();
  };
  const security = "me?tab=security";
  const keyOf = async (form: { textContent(): Promise<string | null> }) =>
    /[A-Z2-7]{32}/.exec((await form.textContent()) ?? "")?.[0] ?? "";

  test("an authenticator app is added, and its code is asked for", async () => {
    const person = await register("ada");
    // A new factor gives the session a new CSRF token, which the client then asks for.
    const announced = ["401 /auth/login", "403 /auth/logout"];
    const page = await started.openAs(person, security, { context, announced });
    await page.getByRole("button", { name: "Add an authenticator app" }).click();
    const form = page.getByRole("dialog", { name: "Add an authenticator app" });
    await form.getByRole("img").or(form.locator("img")).first().waitFor();
    const secret = await keyOf(form);
    await started.expectAccessible(page);
    await form.getByLabel("The app's code").fill(totp(secret));
    await form.getByRole("button", { name: "Add an authenticator app" }).click();
    const codes = page.getByRole("dialog", { name: "Recovery codes" });
    const shown = (await codes.locator("pre").innerText()).trim().split("\n");
    expect(shown).toHaveLength(10);
    await codes.getByRole("button", { name: /I have saved it/ }).click();
    await page.getByText("10 recovery codes are left").waitFor();

    await signOut(page);
    await signIn(page, person);
    await page.getByLabel("Code of your authenticator app").fill(totp(secret, 1));
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("navigation", { name: "Menu" }).waitFor({ state: "attached" });
    started.expectFaultless(page);
    await signOut(page);
    await page.close();
  });

  test("a passkey is added, and signs in alone", async () => {
    const person = await register("grace");
    const announced = ["403 /auth/logout"];
    const page = await started.openAs(person, security, { context, announced });
    const devTools = await context.newCDPSession(page);
    await devTools.send("WebAuthn.enable");
    await devTools.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await page
      .getByRole("dialog", { name: "Recovery codes" })
      .getByRole("button", { name: /I have saved it/ })
      .click();
    await page.getByText("Passkey", { exact: true }).first().waitFor();
    await started.expectAccessible(page);
    await leave(page);
    // This authenticator confirms what the sign-in page suggests, at once.
    await until("signed in by the passkey", () =>
      started.requestsOf(page).includes("POST /auth/passkey"),
    );
    await page.getByRole("navigation", { name: "Menu" }).waitFor({ state: "attached" });
    started.expectFaultless(page);
    await page.context().clearCookies();
    await page.close();
  });

  test("a tenant that demands a second factor has one set up at the sign-in", async () => {
    const owner = await makeTenant(started.url, { key: "acme", name: "Acme" });
    const person = await makeUser(owner, "manager");
    const { tenant } = await owner("GET", "/auth/me");
    await owner("PATCH", `/tenants/${tenant.id}`, { settings: { second_factor: "required" } });
    const announced = ["401 /auth/login", "401 /auth/me"];
    const page = await started.open("sign-in", { context, tenant: "acme", announced });
    await signIn(page, person);
    await page.getByRole("heading", { name: "Set up a second factor" }).waitFor();
    const form = page.locator("form");
    await form.locator("code").waitFor();
    await started.expectAccessible(page);
    await page.getByLabel("Code of your authenticator app").fill(totp(await keyOf(form)));
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("heading", { name: "Recovery codes" }).waitFor();
    await started.expectAccessible(page);
    await page.getByRole("button", { name: "I have saved them" }).click();
    await page.getByRole("navigation", { name: "Menu" }).waitFor({ state: "attached" });
    started.expectFaultless(page);
    await page.close();
  });
});
