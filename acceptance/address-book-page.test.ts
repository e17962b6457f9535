/**
 * The example `examples/address-book` in a real browser: a page that uses the client. It shows one
 * tenant's data while the session lasts.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { BrowserContext, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { browserPath, launchBrowser } from "./chromium.ts";
import { type Client, clientOf } from "./client.ts";
import { freePort, temporaryFolder } from "./server.ts";
import { until } from "./until.ts";

const person = { email: "ada@example.com", password: "a-Fine-passphrase-7" };
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let child: ChildProcess;
let url: string;
let client: Client;
let context: BrowserContext;
let page: Page;
let requests: Request[];

async function startExample(): Promise<void> {
  const port = await freePort();
  url = `http://localhost:${port}`;
  client = clientOf(url);
  child = spawn(process.execPath, ["examples/address-book/main.ts"], {
    env: {
      ...process.env,
      NODE_ENV: "",
      APP_ENV: "development",
      PORT: String(port),
      APP_WS_PORT: "0",
      DATA_DIR: `${folder.path}/data`,
      RATE_LIMIT_CREDENTIALS: "0",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await until("the example answers", async () => {
    if (child.exitCode !== null) throw new Error("the example did not start");
    return (await fetch(`${url}/health`).catch(() => undefined))?.ok;
  });
}

/** Ada's account owns two tenants, with a contact each; globex also has a user of its own. */
async function makeTenants(): Promise<void> {
  const account = await client("POST", "/api/v1/auth/register", { body: person });
  for (const [key, name] of [
    ["acme", "Of Acme"],
    ["globex", "Of Globex"],
  ]) {
    const { access_token: token } = account.body;
    await client("POST", "/api/v1/tenants", { token, body: { key, name: key } });
    const owner = await client("POST", "/api/v1/auth/switch", { token, body: { tenant: key } });
    await client("POST", "/api/v1/contacts", { token: owner.body.access_token, body: { name } });
  }
}

describe.skipIf(!browserPath)("the address book in a browser", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    await startExample();
    await makeTenants();
    context = await launchBrowser(`${folder.path}/browser`);
  });
  afterAll(async () => {
    await context?.close();
    const ended = child && once(child, "exit");
    child?.kill("SIGTERM");
    await ended;
    await folder?.remove();
  });
  beforeEach(async () => {
    page = await context.newPage();
    requests = [];
    page.on("request", (request) => requests.push(request));
  });
  afterEach(async () => {
    await page.evaluate("localStorage.clear()");
    await page.close();
  });

  const signIn = async (at = url): Promise<void> => {
    await page.goto(`${at}/book`);
    await page.fill("[name=email]", person.email);
    await page.fill("[name=password]", person.password);
    await page.click("#sign-in button");
    await page.waitForSelector("#contacts li");
  };
  const contacts = () => page.locator("#contacts li span:first-child").allTextContents();
  const asked = (method: string, path: string) =>
    requests.filter((sent) => sent.method() === method && new URL(sent.url()).pathname === path);
  /** Changes the page's stored data, as time or another program would. */
  const change = (changes: object) =>
    page.evaluate((changes) => {
      const kept = JSON.parse(localStorage.getItem("insulae") ?? "{}");
      localStorage.setItem("insulae", JSON.stringify({ ...kept, ...changes }));
    }, changes);

  test("the host selects the address book", async () => {
    await signIn(url.replace("localhost", "globex.localhost"));
    expect(await contacts()).toEqual(["Of Globex"]);
    expect(await page.textContent("#tenant")).toBe("globex");
    expect(await page.isVisible("#tenants")).toBe(false);
  });

  test("another tenant gets another header, and no late response of the first", async () => {
    await signIn();
    expect(await contacts()).toEqual(["Of Acme"]);
    expect(await asked("GET", "/api/v1/contacts").at(-1)?.headerValue("x-tenant")).toBe("acme");

    // Acme's list is requested once more, and its response is delayed until after the switch.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const late = page.waitForRequest("**/api/v1/contacts");
    await page.route("**/api/v1/contacts", async (route) => {
      if ((await route.request().headerValue("x-tenant")) === "acme") await held;
      await route.continue().catch(() => {});
    });
    await page.reload();
    await late;
    await page.selectOption("#tenants", "globex");
    await page.getByText("Of Globex").waitFor();
    release();
    await page.unrouteAll({ behavior: "wait" });
    expect(await contacts()).toEqual(["Of Globex"]);
    expect(await asked("GET", "/api/v1/contacts").at(-1)?.headerValue("x-tenant")).toBe("globex");
    expect(await page.textContent("#tenant")).toBe("globex");
  });

  test("an expired token is refreshed once, unnoticed", async () => {
    await signIn();
    for (const ended of [{ renewAt: 0 }, { accessToken: "ended" }]) {
      await change(ended);
      requests = [];
      const log = page.waitForResponse("**/api/v1/logs/tickets");
      await page.reload();
      await page.getByText("Of Acme").waitFor();
      expect((await log).status()).toBe(201);
      expect(asked("POST", "/api/v1/auth/refresh")).toHaveLength(1);
    }
  });

  test("two tabs with an expired token both continue", async () => {
    await signIn();
    const tabs = [page, await context.newPage()];
    for (let round = 0; round < 3; round += 1) {
      await change({ renewAt: 0 });
      await Promise.all(tabs.map((tab) => tab.goto(`${url}/book`)));
      for (const tab of tabs) await tab.getByText("Of Acme").waitFor();
    }
    await tabs[1]?.close();
  });

  test("a refused refresh signs out, and leaves nothing visible", async () => {
    await signIn();
    await change({ accessToken: "ended", refreshToken: "ended" });
    await page.reload();
    await page.waitForSelector("#sign-in:not([hidden])");
    expect(await contacts()).toEqual([]);
    expect(await page.evaluate("localStorage.getItem('insulae')")).toBeNull();
    expect(asked("POST", "/api/v1/auth/refresh")).toHaveLength(1);
  });

  test("nothing is deleted without confirmation", async () => {
    await signIn();
    await page.fill("#add [name=name]", "Short-lived <b>");
    await page.click("#add button");
    const row = page.locator("#contacts li", { hasText: "Short-lived <b>" });
    await row.getByText("Delete").click();
    await page.click("#confirm [value=no]");
    expect(await row.count()).toBe(1);
    expect(requests.filter((sent) => sent.method() === "DELETE")).toEqual([]);
    await row.getByText("Delete").click();
    expect(await page.textContent("#confirm p")).toBe("Delete Short-lived <b>?");
    await page.click("#confirm [value=yes]");
    await row.waitFor({ state: "detached" });
    expect(requests.filter((sent) => sent.method() === "DELETE")).toHaveLength(1);
  });

  test("the log is streamed", async () => {
    await signIn();
    await page.fill("#add [name=name]", "Logged");
    await page.click("#add button");
    await page.locator("#log li", { hasText: "method=POST route=/api/v1/contacts" }).waitFor();
  });
});
