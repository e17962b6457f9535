import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stockApplication } from "../app/application.ts";
import type { TestApp } from "../testing/test-app.ts";
import { openTestPeople, type TestPeople } from "../testing/test-people.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import { makeAdminLink } from "./admin.ts";
import type { CommandContext } from "./command.ts";

let people: TestPeople;
let app: TestApp;
let context: CommandContext;
beforeAll(async () => {
  people = await openTestPeople();
  app = people.app;
  await app.ensureAdmin({ email: "admin@example.org", password: "correct horse battery" });
  context = {
    application: async () => stockApplication,
    applicationFile: undefined,
    json: true,
    env: {
      APP_ENV: "test",
      DATABASE_URL: app.config.databaseUrl,
      MASTER_SECRET: testMasterSecret,
      PUBLIC_URL: "https://api.example.com/tools",
      LOG_LEVEL: "silent",
    },
    note: () => {},
  };
}, 60_000);
afterAll(() => people?.close());

const linkFor = async (options: { email?: string } = {}) =>
  (await makeAdminLink(context, options)).document as { url: string; email: string };
const tokenOf = ({ url }: { url: string }) => new URL(url).hash.slice(1);
const start = (token: string, headers: Record<string, string> = {}) =>
  app.inject({ method: "POST", url: "/api/v1/auth/start", payload: { token }, headers });

test("a link signs the first administrator in with a cookie, once, and is audited", async () => {
  const link = await linkFor();
  expect(link.url).toMatch(/^https:\/\/api\.example\.com\/tools\/console\/start#[\w-]{43}$/);
  expect(link.email).toBe("admin@example.org");
  const token = tokenOf(link);
  const signedIn = await start(token);
  expect(signedIn.statusCode).toBe(200);
  expect(signedIn.json()).toMatchObject({ tenant: null, user: { email: link.email } });
  expect(signedIn.json()).not.toHaveProperty("access_token");
  const [cookie = ""] = String(signedIn.headers["set-cookie"]).split(";");
  const me = await app.inject({ url: "/api/v1/auth/me", headers: { cookie } });
  expect(me.json()).toMatchObject({ user: { platform_admin: true } });
  expect((await start(token)).json().code).toBe("invalid_link");

  const entries = await app.withPlatform("a test", ({ control }) =>
    control
      .selectFrom("control.audit_log")
      .select(["action", "actor_name", "detail"])
      .where("action", "in", ["account.start_link_made", "auth.started"])
      .orderBy("at")
      .execute(),
  );
  expect(entries.map(({ action }) => action)).toEqual(["account.start_link_made", "auth.started"]);
  expect(entries[0]?.actor_name).toMatch(/^cli: /);
  expect(JSON.stringify(entries)).not.toContain(token);
  const stored = await app.withPlatform("a test", ({ control }) =>
    sql<{ text: string }>`select t::text as text from control.one_time_tokens t`.execute(control),
  );
  expect(JSON.stringify(stored.rows)).not.toContain(token);
});

test("of twenty attempts at once one succeeds", async () => {
  const token = tokenOf(await linkFor());
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => (await start(token)).statusCode),
  );
  expect(statuses.toSorted()).toEqual([200, ...Array(19).fill(400)]);
});

test("a newer link replaces an older one, and one that is over is none", async () => {
  const [older, newer] = [tokenOf(await linkFor()), tokenOf(await linkFor())];
  expect((await start(older)).statusCode).toBe(400);
  await app.withPlatform("a test", ({ control }) =>
    control
      .updateTable("control.one_time_tokens")
      .set({ expires_at: sql`now() - interval '1 second'` })
      .where("purpose", "=", "start")
      .execute(),
  );
  expect((await start(newer)).statusCode).toBe(400);
  for (const token of ["x", newer.slice(1), `${newer}x`]) {
    expect((await start(token)).json().code).toBe("invalid_link");
  }
});

test("a link of somebody who is no administrator any more is none, and nobody else gets one", async () => {
  const email = "second@example.org";
  const setAdmin = (platform_admin: boolean) =>
    app.withPlatform("a test", ({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ platform_admin })
        .where("email", "=", email)
        .execute(),
    );
  await app.createAccount(email);
  await expect(linkFor({ email })).rejects.toMatchObject({ code: "no_administrator" });
  await setAdmin(true);
  const token = tokenOf(await linkFor({ email: "Second@Example.org" }));
  await setAdmin(false);
  expect((await start(token)).json().code).toBe("invalid_link");
});

test("is refused where the console is off", async () => {
  const off = { ...context, env: { ...context.env, CONSOLE: "off" } };
  await expect(makeAdminLink(off, {})).rejects.toMatchObject({ code: "console_off" });
});
