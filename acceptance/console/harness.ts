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
import type { BrowserContext, Locator, Page, Request } from "playwright-core";
import { launchBrowser } from "../chromium.ts";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "../server.ts";
import { until } from "../until.ts";

type Announced = readonly (string | RegExp)[];

interface OpenOptions {
  /** Refusals that the test brings about, such as `401 /auth/login`: paths below `/api/v1`. */
  readonly announced?: Announced;
  /** At this tenant's own host; default: the platform's. */
  readonly tenant?: string;
  /** In this language; default: en. */
  readonly language?: "en" | "de";
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** With cookies of its own: somebody else's browser. */
  readonly context?: BrowserContext;
}

export interface Person {
  /** E-mail or user name. */
  readonly login: string;
  readonly password: string;
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
  /** Signs somebody in, and opens a path of the console. */
  openAs(person: Person, path: string, options?: OpenOptions): Promise<Page>;
  /** The tab that a page opens when the test does something there. */
  tabOf(act: () => Promise<void>, announced?: Announced): Promise<Page>;
  /** @throws Error that lists what went wrong on the page so far */
  expectFaultless(page: Page): void;
  /** @throws Error that lists violations of WCAG 2.2 AA */
  expectAccessible(page: Page): Promise<void>;
  /** Resolves when a screen stands there, and none of its requests is on its way. */
  settled(page: Page): Promise<void>;
  /** The requests that the page has sent to the API so far, as `GET /tenants`. */
  requestsOf(page: Page): readonly string[];
  stop(): Promise<void>;
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const apiPath = "/api/v1";

/** @param example one of `examples/`, with features of its own, in place of the server */
export async function startConsole(
  env: Record<string, string> = {},
  example?: string,
): Promise<StartedConsole> {
  const folder = await temporaryFolder();
  const server = await startServer({
    dataDir: folder.path,
    ...(example !== undefined && { example }),
    env: { RATE_LIMIT_CREDENTIALS: "1000", RATE_LIMIT_ANONYMOUS: "10000", ...env },
  });
  // In a checkout, the server builds the console if there is none. Build it first when its sources
  // have changed: meanwhile the one from before is served.
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
    records.set(page, watch(page, options.announced ?? []));
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
    await page.addInitScript(`if (!sessionStorage.getItem("opened")) {
      sessionStorage.setItem("opened", "yes");
      localStorage.setItem("insulae.language", "${language}");
    }`);
    page.setDefaultTimeout(10_000);
    const host = options.tenant === undefined ? "localhost" : `${options.tenant}.localhost`;
    await page.goto(`${server.url.replace("localhost", host)}/console/${path}`);
    return page;
  }

  async function openAs(person: Person, path: string, options?: OpenOptions): Promise<Page> {
    const page = await open(`sign-in?to=${encodeURIComponent(path)}`, options);
    await signIn(page, person);
    await page.getByRole("navigation", { name: "Menu" }).waitFor({ state: "attached" });
    return page;
  }

  return {
    url: server.url,
    server,
    context,
    open,
    openAs,
    openAsAdmin: (path, options) => openAs(administrator, path, options),
    async tabOf(act, announced = []) {
      const opening = context.waitForEvent("page");
      await act();
      const page = await opening;
      records.set(page, watch(page, announced));
      page.setDefaultTimeout(10_000);
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
    async settled(page) {
      await page.getByRole("main").getByRole("heading").first().waitFor();
      const { pending } = recordOf(page);
      await until(
        () => `answered: ${[...pending].map((request) => request.url())}`,
        async () => {
          // What has just been answered may make the page ask for more.
          await page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))",
          );
          return pending.size === 0 && (await page.locator(".skeleton").count()) === 0;
        },
      );
    },
    requestsOf: (page) => recordOf(page).requests,
    async stop() {
      await context.close();
      await server.stop();
      await folder.remove();
    },
  };
}

export const administrator: Person = { login: adminEmail, password: adminPassword };

/** Fills in the form that stands on the page, or in this part of it. */
export async function signIn(place: Page | Locator, { login, password }: Person): Promise<void> {
  await place.getByLabel("E-mail or user name").fill(login);
  await place.getByLabel("Password").fill(password);
  await place.getByRole("button", { name: "Sign in", exact: true }).click();
}

interface Watched {
  readonly faults: string[];
  readonly requests: string[];
  readonly pending: ReadonlySet<Request>;
}

function watch(page: Page, announced: Announced): Watched {
  const faults: string[] = [];
  const requests: string[] = [];
  const pending = new Set<Request>();
  const pathOf = (url: string): string => new URL(url).pathname.replace(apiPath, "");
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    // Chromium logs each refusal; those are judged by the response.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRefusal) faults.push(`console: ${message.text()}`);
  });
  page.on("requestfinished", (request) => pending.delete(request));
  page.on("requestfailed", (request) => pending.delete(request));
  page.on("request", (request) => {
    pending.add(request);
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
    const isAnnounced = announced.some((each) =>
      typeof each === "string" ? each === told : each.test(told),
    );
    if (response.status() >= 400 && !isAnnounced) faults.push(told);
  });
  void page.exposeFunction("__violation", (text: string) => faults.push(`CSP: ${text}`));
  void page.addInitScript(`document.addEventListener("securitypolicyviolation", (event) =>
    __violation([event.violatedDirective, event.blockedURI, event.sourceFile, event.lineNumber].join(" ")))`);
  return { faults, requests, pending };
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly html: string }[];
}

/** The policy of the page doesn't hold for what DevTools evaluate. */
async function violationsOf(page: Page): Promise<string[]> {
  // A colour halfway to another may have too little contrast.
  await page.evaluate(`new Promise(requestAnimationFrame).then(() => Promise.allSettled(
    document.getAnimations()
      .filter(({ effect }) => effect.getComputedTiming().endTime < 10_000)
      .map(({ finished }) => finished)))`);
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
