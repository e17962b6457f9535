/** Behaviour in a real browser: cookies with their attributes, CSRF, CORS. */
import type { Server } from "node:http";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath, fetchFrom, launchBrowser, portOf, postJson, servePage } from "./chromium.ts";
import { clientOf, newTenantWithUser } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

const password = "a-Fine-passphrase-7";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let pages: { readonly allowed: Server; readonly foreign: Server };
let context: BrowserContext;

const allowedOrigin = () => `http://localhost:${portOf(pages.allowed)}`;
// A different name, so that it is a different site too.
const foreignOrigin = () => `http://127.0.0.1:${portOf(pages.foreign)}`;

describe.skipIf(!browserPath)("in a browser", () => {
  beforeAll(async () => {
    pages = { allowed: await servePage(), foreign: await servePage() };
    folder = await temporaryFolder();
    server = await startServer({
      dataDir: folder.path,
      env: { CORS_ORIGINS: allowedOrigin(), CORS_CREDENTIALS: "true" },
    });
    await newTenantWithUser(clientOf(server.url), { key: "browsed", isolation: "pool" });
    context = await launchBrowser(`${folder.path}/browser`);
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
    // Without a preflight, as forms do, blindly; even with the token, which it should not know.
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

  test("a log-out removes the cookie, and ends the session", async () => {
    const page = await open(allowedOrigin());
    const { body } = await signIn(page);
    const csrf = { "x-csrf-token": body.csrf_token };
    const out = await fetchFrom(page, api("/auth/logout"), { method: "POST", headers: csrf });
    expect(out.status).toBe(204);
    expect(await context.cookies(server.url)).toEqual([]);
    expect((await fetchFrom(page, api("/auth/me"), {})).status).toBe(401);
  });
});
