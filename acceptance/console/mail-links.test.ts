/** Where links in mails lead: from the mail, as its reader opens it, to the console's page. */
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { browserPath, launchBrowser } from "../chromium.ts";
import { type Client, clientOf } from "../client.ts";
import { type StartedServer, startServer, temporaryFolder } from "../server.ts";
import { until } from "../until.ts";

const password = "a-Fine-passphrase-7";
const newPassword = "another-Fine-passphrase-8";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;
let context: BrowserContext;
let page: Page;
let complaints: string[];

describe.skipIf(!browserPath)("a link in a mail", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await startServer({ dataDir: folder.path, env: { LOG_LEVEL: "info" } });
    client = clientOf(server.url);
    await until(
      () => `the console is built:\n${server.output()}`,
      async () => (await fetch(`${server.url}/console`)).ok,
      120_000,
    );
    context = await launchBrowser(`${folder.path}/browser`);
  }, 180_000);
  afterAll(async () => {
    await context?.close();
    await server?.stop();
    await folder?.remove();
  });
  beforeEach(async () => {
    complaints = [];
    page = await context.newPage();
  });
  afterEach(() => expect(complaints).toEqual([]));

  const post = async (path: string, body: object, token?: string) => {
    const reply = await client("POST", `/api/v1${path}`, { body, ...(token && { token }) });
    expect(reply.status, JSON.stringify(reply.body)).toBeLessThan(300);
    return reply.body;
  };
  const register = (email: string) => post("/auth/register", { email, password });

  /** Opens the newest mail to somebody, and follows its link. */
  const follow = async (email: string, subject: RegExp): Promise<Page> => {
    const mails = async () =>
      (await client("GET", `/api/v1/dev/mails?to=${email}`)).body.items as { subject: string }[];
    await expect
      .poll(mails)
      .toContainEqual(expect.objectContaining({ subject: expect.stringMatching(subject) }));
    await page.bringToFront();
    await page.goto(`${server.url}/dev/mails`);
    const row = page.getByRole("row").filter({ hasText: email });
    await row.getByRole("link", { name: subject }).first().click();
    const opening = context.waitForEvent("page");
    await page.frameLocator("iframe").getByRole("link").first().click();
    const opened = await opening;
    opened.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) complaints.push(message.text());
    });
    await opened.getByRole("heading").first().waitFor();
    // The token is not in the address, and in no Referer of what the page asks for.
    expect(opened.url()).toContain("/console/");
    expect(opened.url()).not.toContain("token=");
    expect(await opened.evaluate("document.referrer")).toBe("");
    return opened;
  };

  test("verifies an address, once, and no log has its token", async () => {
    const email = "ada@example.org";
    const { access_token: token } = await register(email);
    const opened = await follow(email, /verify your e-mail/);
    await opened.getByRole("button", { name: "Verify" }).click();
    await opened.getByRole("status").filter({ hasText: "is verified" }).waitFor();
    const me = await client("GET", "/api/v1/auth/me", { token });
    expect(me.body.user.email_verified).toBe(true);

    const again = await follow(email, /verify your e-mail/);
    await again.getByRole("button", { name: "Verify" }).click();
    await again.getByRole("alert").filter({ hasText: "was used, has expired" }).waitFor();

    const secret = "tokenOfALinkThatNobodyLogs";
    await page.goto(`${server.url}/console/verify-email?token=${secret}`);
    await page.getByRole("button", { name: "Verify" }).click();
    await page.getByRole("alert").filter({ hasText: "was used, has expired" }).waitFor();
    await expect.poll(server.output).toContain("/console/");
    expect(server.output()).not.toContain(secret);
  });

  test("sets a new password of a tenant's user", async () => {
    const email = "user@example.org";
    await client("POST", "/api/v1/tenants", { body: { key: "led", name: "Led" } });
    await post("/auth/register", { email, password, tenant: "led" });
    await post("/auth/password-reset-request", { email, tenant: "led" });
    const opened = await follow(email, /set a new password/);
    await opened.getByLabel("New password").fill(newPassword);
    await opened.getByRole("button", { name: "Set the password" }).click();
    await opened.getByRole("status").filter({ hasText: /./ }).waitFor();
    await post("/auth/login", { email, password: newPassword, tenant: "led" });
    // For whoever did not ask for one, the notice that follows leads to a new password.
    await follow(email, /your sign-in has changed/);
  });

  test("accepts an invitation: of somebody new, and of somebody with an account", async () => {
    const owner = "owner@inviting.example";
    const { access_token: account } = await register(owner);
    await post("/tenants", { key: "inviting", name: "The Inviting" }, account);
    const { access_token: token } = await post("/auth/login", {
      ...{ email: owner, password, tenant: "inviting" },
    });
    const emails = async () =>
      (await client("GET", "/api/v1/users", { token })).body.items.map(
        (user: { email: string }) => user.email,
      );

    const newcomer = "new@example.org";
    await post("/invitations", { email: newcomer }, token);
    const opened = await follow(newcomer, /an invitation/);
    await opened.getByText("The Inviting").waitFor();
    await opened.getByLabel("New password").fill(password);
    await opened.getByLabel("First name").fill("New");
    await opened.getByRole("button", { name: "Accept" }).click();
    await expect.poll(emails).toContain(newcomer);

    const known = "known@example.org";
    await register(known);
    const verifying = await follow(known, /verify your e-mail/);
    await verifying.getByRole("button", { name: "Verify" }).click();
    await verifying.getByRole("status").filter({ hasText: "is verified" }).waitFor();
    await context.clearCookies();
    await post("/invitations", { email: known }, token);
    const second = await follow(known, /an invitation/);
    await second.getByLabel("Password").fill(password);
    await second.getByRole("button", { name: "Sign in", exact: true }).click();
    await expect.poll(emails).toContain(known);
  });
});
