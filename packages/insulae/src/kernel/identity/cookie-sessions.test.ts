import { sql } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { App } from "../../index.ts";
import { createTestApp } from "../../testing/test-app.ts";
import type { UserId } from "../lib/ids.ts";
import { createSecrets } from "../lib/secrets.ts";
import { createCookieSessions } from "./cookie-sessions.ts";
import { createSessionCookies } from "./session-cookie.ts";

let app: App;
beforeAll(async () => {
  app = await createTestApp({ features: [] });
});
afterAll(() => app.close());

const hour = 3_600_000;

/** Sessions that last an hour unused, and four at most. */
const withSessions = (
  test: (
    node: (clock?: () => number) => ReturnType<typeof createCookieSessions>,
    queries: () => number,
    pass: (ms: number) => Promise<unknown>,
  ) => Promise<void>,
) =>
  app.withPlatform("a test", async ({ control }) => {
    let queries = 0;
    const counted = control.withPlugin({
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        queries += 1;
        return result;
      },
    });
    const node = (clock = Date.now) =>
      createCookieSessions({
        control: counted,
        cookies: createSessionCookies(createSecrets("s".repeat(32))),
        idleSeconds: 3600,
        maxSeconds: 4 * 3600,
        log: pino({ level: "silent" }),
        clock,
      });
    // Ages everything in the database by that much.
    const pass = (ms: number) => {
      const time = sql`make_interval(secs => ${ms / 1000})`;
      return sql`
        update control.sessions set
          created_at = created_at - ${time},
          last_used_at = last_used_at - ${time},
          expires_at = expires_at - ${time},
          prolonged_until = prolonged_until - ${time}
      `.execute(control);
    };
    await test(node, () => queries, pass);
  });

const somebody = {
  tenantId: undefined,
  subjectId: "01900000-0000-7000-8000-000000000000" as UserId,
  epoch: "1",
  ip: "127.0.0.1",
  userAgent: undefined,
  amr: ["pwd" as const],
};

it("a recently used session is found without a query", () =>
  withSessions(async (node, queries) => {
    const sessions = node();
    const { id, cookie } = await sessions.open(somebody);
    const [first, second] = await Promise.all([sessions.find(cookie), sessions.find(cookie)]);
    expect([first?.id, second?.id]).toEqual([id, id]);
    const before = queries();
    expect(sessions.find(cookie)).toMatchObject({ id });
    expect(queries()).toBe(before);
  }));

it("a forged cookie never reaches the database", () =>
  withSessions(async (node, queries) => {
    const foreign = createSessionCookies(createSecrets("t".repeat(32))).create().text;
    for (const cookie of [foreign, "", "x".repeat(64), "x".repeat(100_000)]) {
      expect(node().find(cookie)).toBeUndefined();
    }
    expect(queries()).toBe(0);
  }));

it("use extends a session, up to its maximum age", () =>
  withSessions(async (node, queries, pass) => {
    const { cookie } = await node().open(somebody);
    for (let halves = 0; halves < 7; halves += 1) {
      await pass(hour / 2);
      const sessions = node();
      expect(await sessions.find(cookie)).toBeDefined();
      const before = queries();
      sessions.find(cookie); // from the cache, which extends it
      await expect.poll(() => queries()).toBe(before + 1);
    }
    await pass(hour / 2);
    expect(await node().find(cookie)).toBeUndefined();
  }));

it("an unused session expires, also in the cache", () =>
  withSessions(async (node, _queries, pass) => {
    let now = Date.now();
    const sessions = node(() => now);
    const { cookie } = await sessions.open(somebody);
    expect(await sessions.find(cookie)).toBeDefined();
    now += hour + 1000;
    await pass(hour + 1000);
    expect(await sessions.find(cookie)).toBeUndefined();
  }));
