/** The server's own pages without the console: the first one, captured mails, the API reference. */
import { spawnSync } from "node:child_process";
import type { BrowserContext, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { browserPath, launchBrowser } from "./chromium.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let context: BrowserContext;
let page: Page;
let requests: Request[];
let complaints: string[];

describe.skipIf(!browserPath)("in a browser", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await startServer({ dataDir: folder.path, env: { CONSOLE: "off" } });
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
    // Nothing of the pages asks another server, or is refused by their policy.
    expect(requests.filter((request) => new URL(request.url()).origin !== server.url)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  const listen = (opened: Page): void => {
    opened.on("pageerror", (error) => complaints.push(error.message));
    opened.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) complaints.push(message.text());
    });
  };

  test("the first page is readable on a phone, and its commands work in their order", async () => {
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
    // Twice: what is there already is no obstacle.
    for (const run of [1, 2]) {
      const { stdout, stderr } = spawnSync("sh", ["-c", copied.join("\n")], { encoding: "utf8" });
      const shown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
      expect(shown.items, `${run}: ${stdout}${stderr}`).toMatchObject([
        { email: "owner@example.com", role: "owner" },
      ]);
    }
  });

  test("a mail is shown without its scripts, and to no page of this origin", async () => {
    await page.goto(`${server.url}/dev/mails`);
    await page.getByRole("row").getByRole("link").first().click();
    await page.frameLocator("iframe").getByRole("link").first().waitFor();
    await page.evaluate(`document.querySelector("iframe").srcdoc =
      '<p>shown</p><img src=x onerror="top.ran = true"><script>top.ran = true</' + 'script>'`);
    await page.frameLocator("iframe").getByText("shown").waitFor();
    expect(await page.evaluate("window.ran")).toBeUndefined();
    complaints = []; // those are what this is about
    requests = [];
  });

  test("the reference is closed, is filtered by what is typed, and remembers the token", async () => {
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
});

describe("a page of a front end under development", () => {
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
