/**
 * What a real browser makes of it: cookies with their attributes, CSRF, CORS. It takes a Chromium
 * (`CHROMIUM`, or on the PATH). Without one these tests are left out, and the run says so; in CI they
 * fail instead.
 */
import { accessSync, constants } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientOf, newTenantWithUser } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
const browserPath = [
  process.env.CHROMIUM ?? "",
  ...["chromium", "chromium-browser", "google-chrome"].flatMap((name) =>
    (process.env.PATH ?? "").split(delimiter).map((place) => join(place, name)),
  ),
].find(isProgram);

if (!browserPath) {
  if (process.env.INSULAE_TEST_BROWSER === "required") {
    throw new Error("There is no chromium on the PATH, and INSULAE_TEST_BROWSER is `required`");
  }
  console.warn("LEFT OUT: the tests with a real browser (install chromium, or set CHROMIUM)");
}

const password = "a-Fine-passphrase-7";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let pages: { readonly allowed: Server; readonly foreign: Server };
let context: BrowserContext;

/** A page without anything, on an origin of its own. */
const servePage = async (): Promise<Server> => {
  const made = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>a page</title>");
  });
  await new Promise<void>((resolve) => made.listen(0, resolve));
  return made;
};
const portOf = (made: Server): number => (made.address() as AddressInfo).port; // it listens
const allowedOrigin = () => `http://localhost:${portOf(pages.allowed)}`;
// Another name, so that it is another site as well.
const foreignOrigin = () => `http://127.0.0.1:${portOf(pages.foreign)}`;

interface Seen {
  /** Undefined: the browser kept it from the page. */
  readonly status?: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect out of it
  readonly body?: any;
}

/** `fetch` as a page of that origin does it. */
const fetchFrom = (page: Page, url: string, init: object): Promise<Seen> =>
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

const postJson = (body: object, headers: object = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

describe.skipIf(!browserPath)("in a browser", () => {
  beforeAll(async () => {
    pages = { allowed: await servePage(), foreign: await servePage() };
    folder = await temporaryFolder();
    server = await startServer({
      dataDir: folder.path,
      env: { CORS_ORIGINS: allowedOrigin(), CORS_CREDENTIALS: "true" },
    });
    await newTenantWithUser(clientOf(server.url), { key: "browsed", isolation: "pool" });
    context = await chromium.launchPersistentContext(`${folder.path}/browser`, {
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
  });
  afterAll(async () => {
    await context?.close();
    await server?.stop();
    for (const made of Object.values(pages ?? {})) made.close();
    await folder?.remove();
  });

  const open = async (url: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  const api = (path: string) => `${server.url}/api/v1${path}`;
  const signIn = (page: Page) =>
    fetchFrom(
      page,
      api("/auth/login"),
      postJson({ email: "ada@example.com", password, tenant: "browsed", session: "cookie" }),
    );

  test("a page of an allowed origin signs in with a cookie and uses the API", async () => {
    const page = await open(allowedOrigin());
    const signedIn = await signIn(page);
    expect(signedIn.status).toBe(200);
    expect(signedIn.body).not.toHaveProperty("access_token");

    const [cookie] = (await context.cookies(server.url)).filter(
      ({ name }) => name === "__Host-insulae",
    );
    expect(cookie).toMatchObject({
      domain: "localhost",
      path: "/",
      httpOnly: true,
      secure: true,
      sameSite: "Lax",
    });
    expect(await page.evaluate("document.cookie")).toBe("");

    const me = await fetchFrom(page, api("/auth/me"), {});
    expect(me.body.user.email).toBe("ada@example.com");
    const without = await fetchFrom(page, api("/contacts"), postJson({ name: "Grace" }));
    expect([without.status, without.body.code]).toEqual([403, "csrf_refused"]);
    const csrf = { "x-csrf-token": me.body.csrf_token };
    const added = await fetchFrom(page, api("/contacts"), postJson({ name: "Grace" }, csrf));
    expect(added.status).toBe(201);
    const changed = await fetchFrom(page, api(`/contacts/${added.body.id}`), {
      ...postJson({ name: "Grace Hopper" }, csrf),
      method: "PATCH",
    });
    expect(changed.body.name).toBe("Grace Hopper");
  });

  test("a page of a foreign origin can neither read, nor change, nor sign anybody in", async () => {
    const known = await open(allowedOrigin());
    const { body } = await signIn(known);
    const count = async () => (await fetchFrom(known, api("/contacts?total=true"), {})).body.total;
    const before = await count();

    const page = await open(foreignOrigin());
    expect(await fetchFrom(page, api("/auth/me"), {})).toEqual({});
    expect(await fetchFrom(page, api("/contacts"), postJson({ name: "Mallory" }))).toEqual({});
    // Without a preflight, as forms do it, blind; even with the token, which it should not know.
    await fetchFrom(page, api("/contacts"), {
      method: "POST",
      mode: "no-cors",
      headers: { "content-type": "text/plain" },
      body: JSON.stringify({ name: "Mallory" }),
    });
    const csrf = { "x-csrf-token": body.csrf_token };
    expect(await fetchFrom(page, api("/contacts"), postJson({ name: "M" }, csrf))).toEqual({});
    expect(await signIn(page)).toEqual({});
    expect(await count()).toBe(before);
  });

  test("a log-out takes the cookie away, and the session with it", async () => {
    const page = await open(allowedOrigin());
    const { body } = await signIn(page);
    const csrf = { "x-csrf-token": body.csrf_token };
    const out = await fetchFrom(page, api("/auth/logout"), { method: "POST", headers: csrf });
    expect(out.status).toBe(204);
    expect(await context.cookies(server.url)).toEqual([]);
    expect((await fetchFrom(page, api("/auth/me"), {})).status).toBe(401);
  });
});
