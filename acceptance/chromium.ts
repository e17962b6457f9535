/**
 * A real browser. Needs a Chromium (`CHROMIUM`, or on the PATH); without it, the tests that need it
 * are skipped, which the run reports; in CI they fail.
 */
import { accessSync, constants } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Undefined if there is none. */
export const browserPath = [
  process.env.CHROMIUM ?? "",
  ...["chromium", "chromium-browser", "google-chrome"].flatMap((name) =>
    (process.env.PATH ?? "").split(delimiter).map((place) => join(place, name)),
  ),
].find(isProgram);

if (!browserPath) {
  if (process.env.INSULAE_TEST_BROWSER === "required") {
    throw new Error("There is no chromium on the PATH, and INSULAE_TEST_BROWSER is `required`");
  }
  console.warn("SKIPPED: the tests with a real browser (install chromium, or set CHROMIUM)");
}

/** @param folder for its profile */
export const launchBrowser = (folder: string): Promise<BrowserContext> =>
  chromium.launchPersistentContext(folder, {
    executablePath: browserPath ?? "",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });

/** An empty page on its own origin. */
export const servePage = async (): Promise<Server> => {
  const made = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>a page</title>");
  });
  await new Promise<void>((resolve) => made.listen(0, resolve));
  return made;
};

export const portOf = (made: Server): number => (made.address() as AddressInfo).port; // it listens

export interface Seen {
  /** Undefined: the browser hid it from the page. */
  readonly status?: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect out of it
  readonly body?: any;
}

/** Calls `fetch` from a page of that origin. */
export const fetchFrom = (page: Page, url: string, init: object): Promise<Seen> =>
  page.evaluate(
    async ([url, init]) => {
      try {
        const response = await fetch(url, { credentials: "include", ...init });
        const text = await response.text();
        return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
      } catch {
        return {};
      }
    },
    [url, init] as const,
  );

export const postJson = (body: object, headers: object = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});
