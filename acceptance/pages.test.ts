/**
 * The pages that people see in a browser: the first one, captured e-mails, and the targets of links
 * in e-mails.
 */
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import type { BrowserContext, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { browserPath, launchBrowser } from "./chromium.ts";
import { type Client, clientOf } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

const password = "a-Fine-passphrase-7";
const newPassword = "another-Fine-passphrase-8";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;
let context: BrowserContext;
let page: Page;
let requests: Request[];
let complaints: string[];

describe.skipIf(!browserPath)("in a browser", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await startServer({ dataDir: folder.path, env: { LOG_LEVEL: "info" } });
    client = clientOf(server.url);
    context = await launchBrowser(`${folder.path}/browser`);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    context.on("request", (request) => requests.push(request));
  });
  afterAll(async () => {
    await context?.close();
    await server?.stop();
    await folder?.remove();
  });
  beforeEach(async () => {
    [requests, complaints] = [[], []];
    page = await context.newPage();
    listen(page);
  });
  afterEach(async () => {
    for (const open of context.pages().slice(1)) await open.close();
    // The pages send no request to another server, and violate none of their policies.
    expect(requests.filter((request) => new URL(request.url()).origin !== server.url)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  const listen = (opened: Page): void => {
    opened.on("pageerror", (error) => complaints.push(error.message));
    opened.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) complaints.push(message.text());
    });
  };

  const post = async (path: string, body: object, token?: string) => {
    const reply = await client("POST", `/api/v1${path}`, { body, ...(token && { token }) });
    expect(reply.status, JSON.stringify(reply.body)).toBeLessThan(300);
    return reply.body;
  };
  const register = (email: string) => post("/auth/register", { email, password });

  /** Opens the newest e-mail to somebody as its reader would, and follows its link. */
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
    await page.getByRole("heading", { name: subject }).waitFor();
    const opening = context.waitForEvent("page");
    await page.frameLocator("iframe").getByRole("link").first().click();
    const opened = await opening;
    listen(opened);
    await opened.waitForLoadState();
    // The token is not in the address, nor in the Referer of the page's requests.
    expect(opened.url()).not.toContain("token=");
    expect(await opened.evaluate("document.referrer")).toBe("");
    return opened;
  };
  const says = (opened: Page) => opened.getByRole("status").filter({ hasText: /./ }).innerText();

  test("the first page is readable on a phone, and its commands work in order", async () => {
    await page.setViewportSize({ width: 360, height: 640 });
    const answer = await page.goto(server.url);
    expect(answer?.status()).toBe(200);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    const back = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await back();
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await back()).not.toBe(light);

    const copied: string[] = [];
    for (const button of await page.locator("button").all()) {
      await button.focus();
      await page.keyboard.press("Enter");
      await expect.poll(() => button.innerText()).toBe("Copied");
      copied.push(await page.evaluate("navigator.clipboard.readText()"));
    }
    // Twice: repeating the commands must work.
    for (const run of [1, 2]) {
      const { stdout, stderr } = spawnSync("sh", ["-c", copied.join("\n")], { encoding: "utf8" });
      const shown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
      expect(shown.items, `${run}: ${stdout}${stderr}`).toMatchObject([
        { email: "owner@example.com", role: "owner" },
      ]);
    }
  });

  test("a new user verifies their e-mail by the link, once", async () => {
    const email = "ada@example.org";
    const { access_token: token } = await register(email);
    const opened = await follow(email, /verify your e-mail/);
    await opened.reload();
    await opened.getByRole("button", { name: "Verify" }).click();
    expect(await says(opened)).toContain("is verified");
    const me = await client("GET", "/api/v1/auth/me", { token });
    expect(me.body.user.email_verified).toBe(true);

    const again = await follow(email, /verify your e-mail/);
    await again.getByRole("button", { name: "Verify" }).click();
    expect(await says(again)).toContain("was used, has expired");
    await page.goto(`${server.url}/verify-email`);
    expect(await says(page)).toContain("not complete");
  });

  test("a user who forgot their password sets a new one, and logs in with it", async () => {
    const email = "grace@example.org";
    await register(email);
    await page.goto(`${server.url}/login`);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password", { exact: true }).fill("a-Typo-of-a-passphrase");
    await page.keyboard.press("Enter");
    expect(await says(page)).toContain("Wrong e-mail");

    await page.getByRole("link", { name: "Forgotten" }).click();
    await page.getByLabel("E-mail").fill(email);
    await page.getByRole("button", { name: "Send" }).click();
    expect(await says(page)).toContain("on its way");

    const opened = await follow(email, /set a new password/);
    await opened.getByLabel("New password").fill("short");
    await opened.getByRole("button", { name: "Set" }).click();
    expect(await says(opened)).toMatch(/password/i);
    await opened.getByLabel("New password").fill(newPassword);
    await opened.getByRole("button", { name: "Set" }).click();
    await expect.poll(() => says(opened)).toContain("is set");

    await opened.getByRole("link", { name: "Sign in" }).click();
    await opened.getByLabel("E-mail").fill(email);
    await opened.getByLabel("Password", { exact: true }).fill(newPassword);
    await opened.getByRole("button", { name: "Sign in" }).click();
    expect(await says(opened)).toContain(`signed in as ${email}`);
    const token = await opened.locator("#token").innerText();
    expect((await client("GET", "/api/v1/auth/me", { token })).body.user.email).toBe(email);
  });

  /** Fills in the form of `/login` up to the password. */
  const enter = async (email: string): Promise<void> => {
    await page.goto(`${server.url}/login`);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  };

  test("a user with a second factor is asked for it: a code", async () => {
    const email = "coded@example.org";
    const { access_token: token } = await register(email);
    const begun = await post("/auth/factors/totp", {}, token);
    const { recovery_codes: codes } = await post(
      "/auth/factors",
      { totp: { token: begun.token, code: totp(begun.secret) } },
      token,
    );
    await enter(email);
    await page.getByLabel("Code").fill("abcde-abcde");
    await page.keyboard.press("Enter");
    await expect.poll(() => says(page)).toMatch(/code/i);
    await page.getByLabel("Code").fill(codes[0]);
    await page.keyboard.press("Enter");
    await expect.poll(() => says(page)).toContain(`signed in as ${email}`);
  });

  test("a user with a second factor is asked for it: a passkey", async () => {
    const email = "keyed@example.org";
    const { access_token: token } = await register(email);
    await page.goto(`${server.url}/login`);
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
    const options = await post("/auth/factors/passkey", {}, token);
    const passkey = await page.evaluate(`(async () => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(options)});
      return (await navigator.credentials.create({ publicKey })).toJSON();
    })()`);
    const { recovery_codes: codes } = await post("/auth/factors", { passkey }, token);
    expect(codes).toHaveLength(10);
    await enter(email);
    await page.getByRole("button", { name: "passkey" }).click();
    await expect.poll(() => says(page)).toContain(`signed in as ${email}`);
  });

  test("a tenant's user is led to that tenant's sign-in", async () => {
    const email = "user@example.org";
    await client("POST", "/api/v1/tenants", { body: { key: "led", name: "Led" } });
    await post("/auth/register", { email, password, tenant: "led" });
    await post("/auth/password-reset-request", { email, tenant: "led" });
    const opened = await follow(email, /set a new password/);
    await opened.getByLabel("New password").fill(newPassword);
    await opened.getByRole("button", { name: "Set" }).click();
    await expect.poll(() => says(opened)).toContain("is set");
    // The notice that follows leads to a new password, for people who did not request one.
    const forgotten = await follow(email, /your sign-in has changed/);
    expect(await forgotten.getByLabel("Tenant").inputValue()).toBe("led");
  });

  test("an invited person accepts: somebody new, and somebody with an account", async () => {
    const owner = "owner@inviting.example";
    const { access_token: account } = await register(owner);
    await post("/tenants", { key: "inviting", name: "The Inviting" }, account);
    const { access_token: token } = await post("/auth/login", {
      ...{ email: owner, password, tenant: "inviting" },
    });

    const newcomer = "new@example.org";
    await post("/invitations", { email: newcomer }, token);
    const opened = await follow(newcomer, /an invitation/);
    await expect.poll(() => opened.locator("#about").innerText()).toContain("The Inviting");
    await opened.getByLabel("Password").fill(password);
    await opened.getByLabel("First name").fill("New");
    await opened.getByRole("button", { name: "Accept" }).click();
    expect(await says(opened)).toContain(`signed in as ${newcomer} in The Inviting`);

    const known = "known@example.org";
    await register(known);
    const verifying = await follow(known, /verify your e-mail/);
    await verifying.getByRole("button", { name: "Verify" }).click();
    expect(await says(verifying)).toContain("is verified");
    await post("/invitations", { email: known }, token);
    const second = await follow(known, /an invitation/);
    await expect.poll(() => second.locator("#about").innerText()).toContain("account's password");
    await second.getByLabel("Password").fill(password);
    await second.getByRole("button", { name: "Accept" }).click();
    expect(await says(second)).toContain("in The Inviting");

    const { items } = (await client("GET", "/api/v1/users", { token })).body;
    const emails = items.map((user: { email: string }) => user.email);
    expect(emails).toEqual(expect.arrayContaining([newcomer, known]));
  });

  test("an e-mail is shown without scripts, and isolated from this origin's pages", async () => {
    await page.goto(`${server.url}/dev/mails`);
    await page.getByRole("row").getByRole("link").first().click();
    await page.frameLocator("iframe").getByRole("link").first().waitFor();
    await page.evaluate(`document.querySelector("iframe").srcdoc =
      '<p>shown</p><img src=x onerror="top.ran = true"><script>top.ran = true</' + 'script>'`);
    await page.frameLocator("iframe").getByText("shown").waitFor();
    expect(await page.evaluate("window.ran")).toBeUndefined();
    complaints = []; // expected here
    requests = [];
  });

  test("the reference is collapsed, filters as you type, and remembers the token", async () => {
    await page.goto(`${server.url}/swagger-ui`);
    await page.locator(".opblock-tag-section").first().waitFor();
    expect(await page.locator(".opblock").count()).toBe(0);
    await page.locator(".operation-filter-input").fill("password-reset");
    await expect.poll(() => page.locator(".opblock-tag-section").count()).toBe(1);

    await page.locator(".btn.authorize").click();
    await page.locator('.auth-container input[type="text"]').first().fill("a-token");
    await page.locator(".auth-container .btn.authorize").first().click();
    await page.reload();
    await page.locator(".btn.authorize.locked").waitFor();

    await page.locator("#select").selectOption("/api-docs/dialects.json");
    await page.getByText(": dialects").first().waitFor();
  });

  test("no log contains a link's token", async () => {
    const token = "tokenOfALinkThatNobodyLogs";
    await page.goto(`${server.url}/verify-email?token=${token}`);
    await page.getByRole("button", { name: "Verify" }).click();
    expect(await says(page)).toContain("was used, has expired");
    await expect.poll(server.output).toContain("/verify-email");
    expect(server.output()).not.toContain(token);
  });
});

describe("a page of a front end in development", () => {
  test("uses the API with cookies; another one is refused, and the log says so", async () => {
    const folder = await temporaryFolder();
    const server = await startServer({ dataDir: folder.path });
    try {
      const ask = async (origin: string) => {
        const { status, headers } = await fetch(`${server.url}/api/v1/auth/login`, {
          method: "OPTIONS",
          headers: { origin, "access-control-request-method": "POST" },
        });
        const allowed = headers.get("access-control-allow-origin");
        return [status, allowed, headers.get("access-control-allow-credentials")];
      };
      for (const origin of ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:80"]) {
        const canonical = new URL(origin).origin;
        expect(await ask(canonical)).toEqual([204, canonical, "true"]);
      }
      for (let i = 0; i < 3; i++) {
        expect(await ask("https://evil.example")).toEqual([403, null, null]);
      }
      const told = () => server.output().match(/evil\.example/g)?.length;
      await expect.poll(told).toBe(1);
      expect(server.output()).toContain("CORS_ORIGINS");
    } finally {
      await server.stop();
      await folder.remove();
    }
  });
});

/**
 * A time-based one-time password (RFC 6238), as an authenticator app shows it. @param secret in
 * Base32
 */
function totp(secret: string): string {
  const bits = [...secret.replaceAll("=", "")]
    .map((letter) =>
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
    )
    .join("");
  const key = Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const hash = createHmac("sha1", key).update(counter).digest();
  const number = hash.readUInt32BE((hash.at(-1) ?? 0) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
