import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp, feature, Type } from "../../index.ts";
import { cookieIn, doubled } from "../../kernel/lib/cookies.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";

const name = "__Host-insulae";
const allowed = "https://app.example.org";
const password = "correct horse battery staple";

const notes = feature("notes", {
  permissions: { "notes:write": "Write notes" },
  routes: (r) => [
    r.post(
      "/notes",
      {
        permission: "notes:write",
        summary: "Writes",
        audit: { none: "a test" },
        response: { 201: Type.Object({ by: Type.String() }) },
      },
      ({ user }) => ({ by: user.id }),
    ),
  ],
});

let app: TestApp;
let one: Tenant;
let two: Tenant;

beforeAll(async () => {
  app = await createTestApp({
    features: [notes],
    config: { corsOrigins: [allowed], corsCredentials: true },
  });
  const create = (key: string) =>
    app.tenants.create({ key, name: key, settings: { registration: "open" } });
  [one, two] = [await create("one"), await create("two")];
});
afterAll(() => app.close());

interface Browser {
  /** The cookie's value. */
  readonly cookie: string;
  readonly csrf: string;
  readonly host: string;
  readonly setCookie: string;
  readonly body: Record<string, unknown>;
}

const hostOf = (tenant: Tenant) => `${tenant.slug}.localhost`;
const newEmail = () => `${crypto.randomUUID()}@example.org`;

const send = (
  method: "GET" | "POST" | "DELETE",
  path: string,
  headers: Record<string, string>,
  payload?: object,
) => app.inject({ method, url: `/api/v1${path}`, headers, ...(payload && { payload }) });

async function signIn(
  tenant: Tenant,
  path: "register" | "login",
  body: object,
  more: Record<string, string> = {},
): Promise<Browser> {
  const host = hostOf(tenant);
  const reply = await send(
    "POST",
    `/auth/${path}`,
    { host, ...more },
    {
      ...body,
      password,
      session: "cookie",
    },
  );
  expect(reply.statusCode, reply.body).toBeLessThan(300);
  const setCookie = String(reply.headers["set-cookie"]);
  const value = setCookie.slice(setCookie.indexOf("=") + 1, setCookie.indexOf(";"));
  return { cookie: value, csrf: reply.json().csrf_token, host, setCookie, body: reply.json() };
}

const register = (tenant: Tenant) => signIn(tenant, "register", { email: newEmail() });

const cookieOf = ({ host, cookie }: Browser) => ({ host, cookie: `${name}=${cookie}` });
const write = (browser: Browser, more: Record<string, string> = {}) =>
  send("POST", "/notes", { ...cookieOf(browser), "x-csrf-token": browser.csrf, ...more });
const me = (browser: Browser, more: Record<string, string> = {}) =>
  send("GET", "/auth/me", { ...cookieOf(browser), ...more });

describe("a browser that asks for a cookie", () => {
  it("gets one that no page can read, that only this host sets, and no token", async () => {
    const browser = await register(one);
    expect(browser.setCookie).toMatch(/^__Host-insulae=[\w-]{64}; /);
    expect(browser.setCookie.split("; ").slice(1).sort()).toEqual(
      ["Path=/", "Max-Age=2592000", "Secure", "HttpOnly", "SameSite=Lax"].sort(),
    );
    for (const field of ["token", "access_token", "refresh_token", "token_type"]) {
      expect(browser.body).not.toHaveProperty(field);
    }
    expect(browser.body.csrf_token).toMatch(/^[\w-]{43}$/);
  });

  it("is known by it, and is told its CSRF token again", async () => {
    const browser = await register(one);
    const reply = await me(browser);
    expect(reply.statusCode).toBe(200);
    expect(reply.json().csrf_token).toBe(browser.csrf);
    expect(reply.headers["cache-control"]).toBe("no-store");
    expect((await write(browser)).statusCode).toBe(201);
  });

  it("may be an account without a tenant, and is given another cookie when it switches", async () => {
    const host = "localhost";
    const givenBy = (reply: { headers: Record<string, unknown> }) =>
      /^__Host-insulae=([^;]+)/.exec(String(reply.headers["set-cookie"]))?.[1] ?? "";
    const body = { email: newEmail(), password, session: "cookie" };
    const registered = await send("POST", "/auth/register", { host }, body);
    expect(registered.json().tenant).toBeNull();
    const before = givenBy(registered);
    const headers = { host, cookie: `${name}=${before}` };
    const csrf = { "x-csrf-token": registered.json().csrf_token };
    const switched = await send("POST", "/auth/switch", { ...headers, ...csrf }, { tenant: null });
    expect([switched.statusCode, switched.json().access_token]).toEqual([200, undefined]);
    expect((await send("GET", "/auth/me", headers)).statusCode).toBe(401);
    const after = { host, cookie: `${name}=${givenBy(switched)}` };
    expect((await send("GET", "/auth/me", after)).json().user.email).toBe(body.email);
  });

  it("is not let in by the cookie's hash, a changed cookie or one that somebody made up", async () => {
    const browser = await register(one);
    const changed = browser.cookie.slice(0, -2) + (browser.cookie.endsWith("AA") ? "BB" : "AA");
    for (const cookie of [changed, "A".repeat(64), "", "x", browser.cookie.slice(1)]) {
      expect((await me({ ...browser, cookie })).statusCode).toBe(401);
    }
  });
});

describe("a cookie of another tenant", () => {
  it("is refused at this tenant's host, and with its header", async () => {
    const browser = await register(two);
    expect((await me(browser)).statusCode).toBe(200);
    expect((await me({ ...browser, host: hostOf(one) })).statusCode).toBe(403);
    expect((await me({ ...browser, host: "localhost" }, { "x-tenant": one.key })).statusCode).toBe(
      403,
    );
    expect((await send("GET", "/auth/me", { host: hostOf(one) })).statusCode).toBe(401);
  });
});

describe("a cookie that came twice", () => {
  it("is refused, whichever of the two is the right one", async () => {
    const browser = await register(one);
    const other = await register(one);
    for (const [first, second] of [
      [browser.cookie, other.cookie],
      [browser.cookie, browser.cookie],
    ]) {
      const cookie = `${name}=${first}; theme=dark; ${name}=${second}`;
      const reply = await send("GET", "/auth/me", { host: hostOf(one), cookie });
      expect(reply.statusCode).toBe(401);
    }
  });

  it("is another one if its name is another one", () => {
    expect(cookieIn("insulae=a; __host-insulae=b; x__Host-insulae=c", name)).toBeUndefined();
    expect(cookieIn(`a=${name}; ${name}=b=c ; d`, name)).toBe("b=c");
    expect(cookieIn(`${name}=a;${name}=a`, name)).toBe(doubled);
  });
});

describe("a change by cookie", () => {
  it("needs the CSRF token of that very session", async () => {
    const browser = await register(one);
    const other = await register(one);
    for (const csrf of ["", "x", other.csrf, `${browser.csrf}x`, "\u00e9".repeat(43)]) {
      const reply = await write({ ...browser, csrf });
      expect([reply.statusCode, reply.json().code]).toEqual([403, "csrf_refused"]);
    }
    expect((await send("POST", "/notes", cookieOf(browser))).statusCode).toBe(403);
  });

  it.each(["null", "https://evil.example", `${allowed}.evil.example`])(
    "from a page of %s is refused, even with the token",
    async (origin) => {
      const reply = await write(await register(one), { origin });
      expect([reply.statusCode, reply.json().code]).toEqual([403, "origin_refused"]);
      expect(reply.headers["access-control-allow-origin"]).toBeUndefined();
    },
  );

  it("from a page of another site that hides its origin is refused", async () => {
    const browser = await register(one);
    expect((await write(browser, { "sec-fetch-site": "cross-site" })).statusCode).toBe(403);
  });

  it("from an allowed origin is done, and may be read with cookies", async () => {
    const reply = await write(await register(one), { origin: allowed });
    expect(reply.statusCode).toBe(201);
    expect(reply.headers).toMatchObject({
      "access-control-allow-origin": allowed,
      "access-control-allow-credentials": "true",
    });
  });

  it("at an open route counts as nobody's without the token", async () => {
    const browser = await register(one);
    const reply = await send("POST", "/auth/login", cookieOf(browser), {
      email: newEmail(),
      password,
    });
    expect(reply.statusCode).toBe(401);
  });
});

describe("a log-in", () => {
  it("can't be caused by a page of another site", async () => {
    const email = newEmail();
    await signIn(one, "register", { email });
    const headers = { host: hostOf(one), origin: "https://evil.example" };
    const reply = await send("POST", "/auth/login", headers, {
      email,
      password,
      session: "cookie",
    });
    expect([reply.statusCode, reply.headers["set-cookie"]]).toEqual([403, undefined]);
  });

  it("makes a new session, and ends the one that the browser had", async () => {
    const email = newEmail();
    const before = await signIn(one, "register", { email });
    const after = await signIn(one, "login", { email }, { cookie: `${name}=${before.cookie}` });
    expect(after.cookie).not.toBe(before.cookie);
    expect((await me(before)).statusCode).toBe(401);
    expect((await me(after)).statusCode).toBe(200);
  });

  it("does not take a cookie that somebody else has planted", async () => {
    const planted = await register(one);
    const email = newEmail();
    await signIn(one, "register", { email });
    const victim = await signIn(one, "login", { email }, { cookie: `${name}=${planted.cookie}` });
    expect(victim.cookie).not.toBe(planted.cookie);
    expect((await me(planted)).statusCode).toBe(401);
  });
});

describe("a change of the password", () => {
  it("gives a browser a new cookie, and no token", async () => {
    const browser = await register(one);
    const reply = await send(
      "POST",
      "/auth/password-change",
      { ...cookieOf(browser), "x-csrf-token": browser.csrf },
      { current_password: password, new_password: "another horse, another staple" },
    );
    expect(reply.statusCode, reply.body).toBe(200);
    expect(reply.json()).not.toHaveProperty("access_token");
    const [, cookie = ""] =
      /^__Host-insulae=([^;]+)/.exec(String(reply.headers["set-cookie"])) ?? [];
    expect((await me(browser)).statusCode).toBe(401);
    expect((await me({ ...browser, cookie })).statusCode).toBe(200);
  });
});

describe("a token beside a cookie", () => {
  it("is what counts: the cookie is not looked at", async () => {
    const browser = await register(one);
    const bad = await me(browser, { authorization: "Bearer nonsense" });
    expect(bad.statusCode).toBe(401);
    const email = newEmail();
    const { token, user } = (
      await send("POST", "/auth/register", { host: hostOf(one) }, { email, password })
    ).json();
    const both = { ...cookieOf(browser), authorization: `Bearer ${token}` };
    expect((await send("GET", "/auth/me", both)).json().user.id).toBe(user.id);
    expect((await send("POST", "/notes", both)).json().by).toBe(user.id);
  });
});

describe("a session by cookie", () => {
  it("ends with a log-out, on every node, and the browser drops the cookie", async () => {
    const node = await createApp({
      features: [notes],
      env: { PUBLIC_URL: app.config.baseUrl },
      config: app.config,
    });
    try {
      const browser = await register(one);
      const elsewhere = () => node.inject({ url: "/api/v1/auth/me", headers: cookieOf(browser) });
      expect((await elsewhere()).statusCode).toBe(200);
      const reply = await send("POST", "/auth/logout", {
        ...cookieOf(browser),
        "x-csrf-token": browser.csrf,
      });
      expect(reply.statusCode).toBe(204);
      expect(String(reply.headers["set-cookie"])).toMatch(/^__Host-insulae=; Path=\/; Max-Age=0/);
      expect((await me(browser)).statusCode).toBe(401);
      await expect.poll(async () => (await elsewhere()).statusCode).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("is listed among one's own, and ends with all of them", async () => {
    const email = newEmail();
    const browser = await signIn(one, "register", { email });
    const other = await signIn(one, "login", { email });
    const listed = (await send("GET", "/auth/sessions", cookieOf(other))).json().items;
    expect(listed.map((session: { kind: string }) => session.kind)).toEqual(["cookie", "cookie"]);
    const csrf = { "x-csrf-token": other.csrf };
    await send("POST", "/auth/logout-all", { ...cookieOf(other), ...csrf });
    expect((await me(browser)).statusCode).toBe(401);
    expect((await me(other)).statusCode).toBe(401);
  });

  it("can't be refreshed like a token's", async () => {
    const browser = await register(one);
    const body = { refresh_token: browser.cookie };
    const reply = await send("POST", "/auth/refresh", { host: hostOf(one) }, body);
    expect(reply.statusCode).toBe(401);
  });

  it("is stored without its secret", async () => {
    const browser = await register(one);
    const rows = await app.withPlatform("a test", ({ control }) =>
      control.selectFrom("control.sessions").selectAll().execute(),
    );
    expect(JSON.stringify(rows)).not.toContain(browser.cookie);
    const hex = Buffer.from(browser.cookie, "base64url").subarray(0, 32).toString("hex");
    expect(rows.map((row) => row.cookie_hash?.toString("hex"))).not.toContain(hex);
  });
});
