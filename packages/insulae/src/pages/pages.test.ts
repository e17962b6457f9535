import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../app/app.ts";
import { version } from "../app/version.ts";
import { loadConfig } from "../config/config.ts";
import { featuresOf, standardFeatures } from "../features/index.ts";
import { feature, Type } from "../index.ts";
import { signInPages } from "../kernel/http/console/console-routes.ts";
import { openTestPeople, type TestPeople } from "../testing/test-people.ts";

const accept = "text/html,application/xhtml+xml";
/** Where mails lead below APP_URL, which is the console's: the last part of each of its pages. */
const linkedPages = [
  ...["/verify-email", "/password-reset", "/forgot-password", "/login", "/invitation"],
];

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ config: { console: "off" } });
});
afterAll(() => people?.close());

const open = (url: string, host = "localhost:8000") =>
  people.app.inject({ url, headers: { host, accept } });

describe("every page", () => {
  test.each(["/", "/dev/mails"])("%s runs and loads nothing but its own", async (url) => {
    const { statusCode, headers, body } = await open(`${url}?token=abc`);
    expect([statusCode, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(headers["cache-control"]).toBe("no-store");
    expect(headers["referrer-policy"]).toBe("no-referrer");
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'; script-src 'sha256-");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy.replace("style-src-attr 'unsafe-inline'", "")).not.toContain("unsafe");
    expect(body).not.toMatch(/<(script|link|img|iframe)[^>]* (src|href)="(?!data:)/);
    expect(body).not.toMatch(/ (on[a-z]+|style)="/);
    expect(body).not.toContain("abc");
    expect(body).toContain('name="viewport"');
  });

  test("has a script and a style that end only where they should", () => {
    for (const name of ["page.css", "first.js", "mails.js"]) {
      const text = readFileSync(new URL(`./browser/${name}`, import.meta.url), "utf8");
      expect(text).not.toMatch(/<\/|<!--|<script/i);
    }
  });

  test("belongs to the platform's hosts: there is none at a tenant's", async () => {
    const tenant = await people.newTenant({ hosts: ["shop.example.org"] });
    for (const host of [`${tenant.slug}.localhost:8000`, "shop.example.org"]) {
      for (const url of ["/", "/dev/mails"]) {
        expect([host, url, (await open(url, host)).statusCode]).toEqual([host, url, 404]);
      }
    }
    expect((await open("/", "127.0.0.1:8000")).statusCode).toBe(200);
  });

  test("refuses a host with a port that there can't be", async () => {
    for (const url of ["/", "/dev/mails"]) {
      const { statusCode, body } = await open(url, "localhost:70000");
      expect([url, statusCode, JSON.parse(body).code]).toEqual([url, 400, "invalid_host"]);
    }
  });

  test("is refused to pages that reach the server by a name of theirs", async () => {
    for (const url of ["/", "/dev/mails"]) {
      expect((await open(url, "evil.example")).json().code).toBe("host_not_allowed");
    }
  });

  test("shows mails in a frame that runs nothing and is no page of ours", async () => {
    const { body } = await open("/dev/mails");
    expect(body.match(/sandbox="[^"]*"/g)).toEqual([
      'sandbox="allow-popups allow-popups-to-escape-sandbox"',
    ]);
  });

  test("answers GET alone", async () => {
    const { statusCode, headers } = await people.app.inject({ method: "POST", url: "/dev/mails" });
    // The dialect of host routing is not among this app's features.
    expect([statusCode, headers.allow]).toEqual([405, "GET, HEAD"]);
  });
});

describe("the first page", () => {
  test("says what runs and links to what there is", async () => {
    const { body } = await open("/");
    for (const text of [version, "Environment", "PostgreSQL"]) expect(body).toContain(text);
    for (const [, url = ""] of body.matchAll(/href="(\/[^"]*)"/g)) {
      expect([url, (await open(url)).statusCode]).toEqual([url, 200]);
    }
    expect(body).toContain('href="/dev/mails"');
    expect(body).not.toContain(people.app.config.dataDir);
  });

  test("has commands for where the browser asks, and for nothing that its host makes up", async () => {
    expect((await open("/", "localhost:4321")).body).toContain("http://localhost:4321/api/v1/auth");
    const { body } = await open("/", "a';rm -rf ~;'.localhost");
    expect(body).not.toContain("rm -rf");
  });
});

test("in production there are none", async () => {
  const node = await people.openNode({ env: "production", baseDomain: "example.com" });
  try {
    for (const url of ["/", "/dev/mails", ...linkedPages]) {
      const { statusCode, body } = await node.inject({ url, headers: { accept } });
      expect([url, statusCode]).toEqual([url, 404]);
      expect(body).not.toContain(version);
    }
  } finally {
    await node.close();
  }
});

test("an application's own routes and name stand in the place of ours", async () => {
  const site = feature("site", {
    routes: ({ absolute: r }) =>
      ["/login", "/pages/:page"].map((path) =>
        r.get(
          path,
          {
            permission: "public",
            context: "core",
            summary: "A page",
            ...(path === "/login" ? {} : { params: Type.Object({ page: Type.String() }) }),
            response: Type.Object({ own: Type.Boolean() }),
          },
          () => ({ own: true }),
        ),
      ),
  });
  const app = await createApp({
    name: "<b>Shop",
    features: [site],
    env: { MAIL: "capture" },
    config: people.app.config,
  });
  try {
    expect((await app.inject("/login")).json()).toEqual({ own: true });
    expect((await app.inject("/dev/mails")).body).toContain("<title>&lt;b&gt;Shop");
    expect((await app.inject("/")).body).toContain("<h1>&lt;b&gt;Shop</h1>");
  } finally {
    await app.close();
  }
});

test("every link of a mail leads to a page that the console has", () => {
  const text = featuresOf(loadConfig({}), standardFeatures)
    .flatMap(({ mails }) => mails)
    .map(({ compose }) => String(compose))
    .join("\n");
  const linked = new Set([...text.matchAll(/link\("(\/[^"]+)"/g)].map(([, path]) => path));
  // Two mails share a function that makes the link.
  expect([...linked, "/password-reset"].toSorted()).toEqual(linkedPages.toSorted());
  for (const page of linkedPages) expect(signInPages).toContain(page.slice(1));
});
