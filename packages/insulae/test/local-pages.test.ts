/** A front end under development runs on a port of its own, and uses the API from there; in production none does. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../src/config/config.ts";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

const origin = "http://localhost:5173";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ config: { env: "development", wsPort: 0 } });
});
afterAll(() => people?.close());

const preflight = {
  method: "OPTIONS",
  url: "/api/v1/auth/login",
  headers: { origin, "access-control-request-method": "POST" },
} as const;

test("a page of localhost may use the API in development, with cookies", async () => {
  const { statusCode, headers } = await people.app.inject(preflight);
  expect([statusCode, headers["access-control-allow-origin"]]).toEqual([204, origin]);
  expect(headers["access-control-allow-credentials"]).toBe("true");
});

test.each([
  ["in production", { env: "production", baseDomain: "example.com" }],
  ["in tests", { env: "test" }],
  ["where CORS_ORIGINS says which may", { corsOrigins: ["https://app.example.com"] }],
] as const)("it may not %s", async (_, config) => {
  const node = await people.openNode(config);
  try {
    const { statusCode, headers } = await node.inject(preflight);
    expect([statusCode, headers["access-control-allow-origin"]]).toEqual([403, undefined]);
  } finally {
    await node.close();
  }
});

test("cookies are a default of development alone, and of its own list", () => {
  const withCookies = (env: Record<string, string>) => loadConfig(env).corsCredentials;
  expect(withCookies({})).toBe(true);
  expect(withCookies({ CORS_CREDENTIALS: "false" })).toBe(false);
  expect(withCookies({ CORS_ORIGINS: "https://app.example.com" })).toBe(false);
  expect(withCookies({ APP_ENV: "test" })).toBe(false);
});
