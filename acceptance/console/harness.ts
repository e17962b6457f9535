/**
 * The console in a real browser, before a real server. A page fails its test when it breaks the
 * Content-Security-Policy, logs an error, asks another origin, or gets a refusal that the test
 * didn't announce.
 *
 * @example
 * const console = await startConsole();
 * const page = await console.open("p/tenants");
 * await page.getByRole("button", { name: "New tenant" }).click();
 * await console.expectAccessible(page);
 * console.expectFaultless(page);
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { launchBrowser } from "../chromium.ts";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "../server.ts";
import { until } from "../until.ts";

interface OpenOptions {
  /** Refusals that the test brings about, such as `401 /auth/login`: paths below `/api/v1`. */
  readonly announced?: readonly string[];
  /** The same, where a path has an id that nobody knows before. */
  readonly tolerates?: (fault: string) => boolean;
  /** In this language; default: en. */
  readonly language?: "en" | "de";
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** With cookies of its own: somebody else's browser. */
  readonly context?: BrowserContext;
}

export interface StartedConsole {
  /** Of the console's host, without a slash at its end. */
  readonly url: string;
  readonly server: StartedServer;
  readonly context: BrowserContext;
  /** @param path below `/console/` */
  open(path: string, options?: OpenOptions): Promise<Page>;
  /** Signs the administrator in, and opens a path of the console. */
  openAsAdmin(path: string, options?: OpenOptions): Promise<Page>;
  /** @throws Error that lists what went wrong on the page so far */
  expectFaultless(page: Page): void;
  /** @throws Error that lists violations of WCAG 2.2 AA */
  expectAccessible(page: Page): Promise<void>;
  /** The requests that the page has sent to the API so far, as `GET /tenants`. */
  requestsOf(page: Page): readonly string[];
  stop(): Promise<void>;
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const apiPath = "/api/v1";

export async function startConsole(env: Record<string, string> = {}): Promise<StartedConsole> {
  const folder = await temporaryFolder();
  const server = await startServer({
    dataDir: folder.path,
    env: { RATE_LIMIT_CREDENTIALS: "1000", RATE_LIMIT_ANONYMOUS: "10000", ...env },
  });
  // In a checkout, the server builds the console if its sources have changed.
  await until(
    () => `the console is built:\n${server.output()}`,
    async () =>
      (await fetch(`${server.url}/console/`, { headers: { accept: "text/html" } })).status === 200,
    120_000,
  );
  const context = await launchBrowser(`${folder.path}/browser`);
  const records = new WeakMap<Page, Watched>();
  const recordOf = (page: Page): Watched => {
    const record = records.get(page);
    if (!record) throw new Error("the harness has not opened this page");
    return record;
  };

  async function open(path: string, options: OpenOptions = {}): Promise<Page> {
    const { language = "en", width = 1440, height = 900, dark = false } = options;
    const page = await (options.context ?? context).newPage();
    const { announced = [], tolerates = () => false } = options;
    records.set(
      page,
      watch(page, (fault) => announced.includes(fault) || tolerates(fault)),
    );
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
    await page.addInitScript(`if (!sessionStorage.getItem("opened")) {
      sessionStorage.setItem("opened", "yes");
      localStorage.setItem("insulae.language", "${language}");
    }`);
    page.setDefaultTimeout(10_000);
    await page.goto(`${server.url}/console/${path}`);
    return page;
  }

  return {
    url: server.url,
    server,
    context,
    open,
    async openAsAdmin(path, options) {
      const page = await open(`sign-in?to=${encodeURIComponent(path)}`, options);
      await page.getByLabel("E-mail or user name").fill(adminEmail);
      await page.getByLabel("Password").fill(adminPassword);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.getByRole("navigation", { name: "Menu" }).waitFor({ state: "attached" });
      return page;
    },
    expectFaultless(page) {
      const { faults } = recordOf(page);
      if (faults.length > 0) throw new Error(`On ${page.url()}:\n${faults.join("\n")}`);
    },
    async expectAccessible(page) {
      const found = await violationsOf(page);
      if (found.length > 0) throw new Error(`On ${page.url()}:\n${found.join("\n")}`);
    },
    requestsOf: (page) => recordOf(page).requests,
    async stop() {
      await context.close();
      await server.stop();
      await folder.remove();
    },
  };
}

interface Watched {
  readonly faults: string[];
  readonly requests: string[];
}

function watch(page: Page, isAnnounced: (fault: string) => boolean): Watched {
  const faults: string[] = [];
  const requests: string[] = [];
  const pathOf = (url: string): string => new URL(url).pathname.replace(apiPath, "");
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    // Chromium logs each refusal; those are judged by the response.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRefusal) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol === "data:" || url.protocol === "blob:") return;
    const own = new URL(page.url() === "about:blank" ? request.url() : page.url());
    if (url.host !== own.host && !url.host.endsWith(own.host)) faults.push(`asks ${url.origin}`);
    if (url.pathname.startsWith(apiPath)) {
      requests.push(`${request.method()} ${pathOf(request.url())}`);
    }
  });
  page.on("response", (response) => {
    const told = `${response.status()} ${pathOf(response.url())}`;
    if (response.status() >= 400 && !isAnnounced(told)) faults.push(told);
  });
  void page.exposeFunction("__violation", (text: string) => faults.push(`CSP: ${text}`));
  void page.addInitScript(`document.addEventListener("securitypolicyviolation", (event) =>
    __violation([event.violatedDirective, event.blockedURI, event.sourceFile, event.lineNumber].join(" ")))`);
  return { faults, requests };
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly html: string }[];
}

/** The policy of the page doesn't hold for what DevTools evaluate. */
async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const violations = await page.evaluate<readonly Violation[]>(
    `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }).then(({ violations }) => violations)`,
  );
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target, html }) => `${id} (${impact}) ${target.join(" ")} ${html.slice(0, 160)}`),
  );
}

const pictures = resolve(import.meta.dirname, "../.output/console");

/** A picture for people to look at, in `acceptance/.output/console`. */
export async function takePicture(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: `${pictures}/${name}.png` });
}
