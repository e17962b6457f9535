/** Passkeys in a real browser, with the virtual authenticator of its DevTools. */
import type { Server } from "node:http";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath, fetchFrom, launchBrowser, portOf, postJson, servePage } from "./chromium.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";

const person = { email: "ada@example.com", password: "a-Fine-passphrase-7" };
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let app: Server;
let context: BrowserContext;

describe.skipIf(!browserPath)("a passkey", () => {
  beforeAll(async () => {
    app = await servePage();
    folder = await temporaryFolder();
    const origin = `http://localhost:${portOf(app)}`;
    server = await startServer({
      dataDir: folder.path,
      env: { APP_URL: origin, CORS_ORIGINS: origin, RATE_LIMIT_CREDENTIALS: "100" },
    });
    context = await launchBrowser(`${folder.path}/browser`);
  });
  afterAll(async () => {
    await context?.close();
    await server?.stop();
    app?.close();
    await folder?.remove();
  });

  /** A page of that host, on a computer whose authenticator confirms everything. */
  const open = async (host: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(`http://${host}:${portOf(app)}`);
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
    return page;
  };
  const post = (page: Page, path: string, body: object, token?: string) =>
    fetchFrom(page, `${server.url}/api/v1/auth${path}`, {
      ...postJson(body, token === undefined ? {} : { authorization: `Bearer ${token}` }),
      credentials: "omit",
    });
  // As text, because only the browser knows these values.
  const create = (page: Page, options: object): Promise<object> =>
    page.evaluate(`(async () => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(options)});
      return (await navigator.credentials.create({ publicKey })).toJSON();
    })()`);
  const get = (page: Page, options: object): Promise<object> =>
    page.evaluate(`(async () => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(${JSON.stringify(options)});
      return (await navigator.credentials.get({ publicKey })).toJSON();
    })()`);

  test("is created by a browser, and logs in alone and after a password", async () => {
    const page = await open("localhost");
    const { body: registered } = await post(page, "/register", person);
    const token = registered.access_token;
    const begun = await post(page, "/factors/passkey", {}, token);
    const added = await post(page, "/factors", { passkey: await create(page, begun.body) }, token);
    expect(added.status, JSON.stringify(added.body)).toBe(201);

    const asked = await post(page, "/passkey/options", {});
    const alone = await post(page, "/passkey", { passkey: await get(page, asked.body) });
    expect(alone.status, JSON.stringify(alone.body)).toBe(200);
    expect(alone.body.user.id).toBe(registered.user.id);

    const first = await post(page, "/login", person);
    expect([first.status, first.body.methods]).toEqual([401, ["passkey", "recovery_code"]]);
    const passkey = await get(page, first.body.passkey);
    const { mfa_token } = first.body;
    const second = await post(page, "/second-factor", { mfa_token, passkey });
    expect([second.status, second.body.user?.id]).toEqual([200, registered.user.id]);
  });

  test("can't be used by a page of another host", async () => {
    const page = await open("localhost");
    const asked = await post(page, "/passkey/options", {});
    const other = await open("127.0.0.1");
    await expect(get(other, asked.body)).rejects.toThrow(
      /SecurityError|not allowed|invalid domain/,
    );
  });
});
