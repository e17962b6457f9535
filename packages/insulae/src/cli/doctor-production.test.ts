/** The findings of `insulae doctor --production` about a configuration and its services. */
import { expect, onTestFinished, test } from "vitest";
import { stockApplication } from "../app/application.ts";
import { type Config, loadConfig } from "../config/config.ts";
import type { Check } from "../doctor/check.ts";
import { createTestApp } from "../testing/index.ts";
import { describeWithRedis, startTestRedis } from "../testing/test-redis.ts";
import { doctor } from "./doctor.ts";
import { checkHealth, checkSettings } from "./doctor-production.ts";
import { checkProductionDatabase } from "./doctor-production-database.ts";
import { checkRedis } from "./doctor-production-redis.ts";

const fit = {
  APP_ENV: "production",
  DATABASE_URL: "postgresql://admin:word@db.example.com/main?sslmode=verify-full",
  MASTER_SECRET: "ZkNfmCfY0mbnVq1RjKuD8s2WcTgpXhLe",
  METRICS_TOKEN: "Qy7Rw3Lx9Tz5Bn1M",
  PUBLIC_URL: "https://api.acme.test",
  BASE_DOMAIN: "acme.test",
  CORS_ORIGINS: "https://app.acme.test",
  TRUST_PROXY: "10.0.0.0/8",
  REDIS_URL: "rediss://cache.acme.test",
  SMTP_URL: "smtps://mail.acme.test",
  FROM_EMAIL: "noreply@acme.test",
  S3_BUCKET_NAME: "acme-files",
  S3_REGION: "eu-central-1",
};

const statesOf = (checks: readonly Check[]) =>
  Object.fromEntries(checks.map(({ name, state }) => [name, state]));

const settings = (changes: Readonly<Record<string, string>>, overrides: Partial<Config> = {}) =>
  statesOf(checkSettings(loadConfig({ ...fit, ...changes }, overrides)));

test("a good configuration has no finding except the current user", () => {
  const { user, ...others } = settings({});
  expect(Object.values(others).every((state) => state === "ok")).toBe(true);
  expect(user).toBe(process.geteuid?.() === 0 ? "warning" : "ok");
});

test.each<[string, Record<string, string>, string, "warning" | "failure"]>([
  [
    "a secret that was copied",
    { MASTER_SECRET: "change-me-change-me-change-me-1234" },
    "secrets",
    "failure",
  ],
  ["a secret of few letters", { MASTER_SECRET: "ab".repeat(20) }, "secrets", "failure"],
  ["one secret for two purposes", { JWT_SECRET: fit.MASTER_SECRET }, "secrets", "failure"],
  ["http", { PUBLIC_URL: "http://api.acme.test" }, "TLS for clients", "failure"],
  ["nobody who ends TLS", { TRUST_PROXY: "" }, "TLS for clients", "warning"],
  ["a front end under development", { CORS_ORIGINS: "http://localhost:3000" }, "CORS", "failure"],
  ["a proxy that may be anybody", { TRUST_PROXY: "0.0.0.0/0" }, "trusted proxies", "failure"],
  ["the same, half of the world", { TRUST_PROXY: "::/1,10.0.0.1" }, "trusted proxies", "failure"],
  ["no limit for log-ins", { RATE_LIMIT_CREDENTIALS: "0" }, "rate limits", "warning"],
  ["limits of each process", { REDIS_URL: "" }, "rate limits", "warning"],
  ["mails in the clear", { SMTP_URL: "smtp://mail.acme.test?tls=none" }, "mail", "failure"],
  ["mails that are captured", { MAIL: "capture", SMTP_URL: "" }, "mail", "warning"],
  ["addresses of anybody", { EMAIL_VERIFICATION: "optional" }, "mail", "warning"],
  ["a console at tenants' hosts by accident", { CONSOLE: "on" }, "console", "warning"],
  ["mails that lead nowhere", { CONSOLE: "off" }, "console", "failure"],
  ["files of one machine", { S3_BUCKET_NAME: "" }, "files", "warning"],
  [
    "keys that never end",
    { AWS_ACCESS_KEY_ID: "AKIA", AWS_SECRET_ACCESS_KEY: "word" },
    "AWS keys",
    "warning",
  ],
  ["metrics for nobody", { METRICS_TOKEN: "" }, "metrics", "warning"],
  ["a log of everything", { LOG_LEVEL: "debug" }, "log", "warning"],
  ["a log of nothing", { LOG_LEVEL: "silent" }, "log", "warning"],
  ["tokens of a week", { MAX_AGE: "604800" }, "tokens", "warning"],
  ["processes that migrate", { MIGRATE_ON_START: "true" }, "start", "warning"],
  ["a password that lies about", { ADMIN_PASSWORD: "a-long-passphrase" }, "start", "warning"],
])("%s is reported", (_, changes, name, state) => {
  expect(settings(changes)).toMatchObject({ [name]: state });
});

test.each([
  { CONSOLE: "tenants" },
  { CONSOLE: "platform" },
  { CONSOLE: "off", APP_URL: "https://app.acme.test" },
])("a console as somebody chose it is fine: %o", (changes) => {
  expect(settings(changes)).toMatchObject({ console: "ok" });
});

test("no secret is printed", () => {
  const weak = {
    MASTER_SECRET: "change-me-change-me-change-me-1234",
    SMTP_URL: "smtp://u:pw9@m.test",
  };
  const said = JSON.stringify(checkSettings(loadConfig({ ...fit, ...weak })));
  expect(said).not.toContain("change-me-change-me");
  expect(said).not.toContain("pw9");
});

const stock = { application: async () => stockApplication, applicationFile: undefined };

test("what production would lack is reported in development", async () => {
  const { document, text, exitCode } = await doctor(
    {
      json: false,
      env: { DATABASE_URL: "postgresql://a:b@localhost:1/c" },
      note() {},
      ...stock,
    },
    { production: true },
  );
  expect(exitCode).toBe(1);
  expect(text).toMatch(/MASTER_SECRET is required[\s\S]*APP_ENV is development[\s\S]*☐ backups/);
  expect(document).toMatchObject({
    ok: false,
    for_people: expect.arrayContaining([expect.any(String)]),
  });
  // What no program can check is left to people.
  for (const word of ["backups", "alerts", "log", "tests", "security", "load", "runbooks"]) {
    expect(text).toMatch(new RegExp(`☐ .*\\b${word}\\b`));
  }
});

test("a database is checked: durability, archiving, vacuum; administrators need a second factor", async () => {
  const app = await createTestApp();
  onTestFinished(() => app.close());
  const url = app.config.databaseUrl ?? "";
  const states = async () => statesOf(await checkProductionDatabase(url));
  expect(await states()).toMatchObject({
    "TLS to the database": "ok", // a socket on this machine
    // Any result: a test server may be non-durable and without an archive.
    durability: expect.any(String),
    backups: "warning",
    vacuum: expect.any(String),
    statements: expect.any(String),
    administrators: "warning",
  });
  await app.ensureAdmin({ email: "root@acme.test", password: "correct-horse-battery" });
  const checks = await checkProductionDatabase(url);
  expect(checks.find(({ name }) => name === "administrators")?.message).toContain("root@acme.test");
  await app.withPlatform("a second factor", async ({ control }) => {
    const { id } = await control
      .selectFrom("control.accounts")
      .select("id")
      .where("email", "=", "root@acme.test")
      .executeTakeFirstOrThrow();
    await control
      .insertInto("control.factors")
      .values({
        tenant_id: null,
        subject_id: id,
        kind: "totp",
        name: "phone",
        sealed_secret: "…",
        last_step: 0,
      })
      .execute();
  });
  expect(await states()).toMatchObject({ administrators: "ok" });
});

test("a server that can't be reached from outside is reported", async () => {
  const config = loadConfig({ ...fit, PUBLIC_URL: "http://localhost:1" });
  expect(await checkHealth(config)).toMatchObject({ name: "health", state: "warning" });
});

describeWithRedis("Redis", () => {
  test("needs a memory limit, a policy that spares sessions, and a replica", async () => {
    const redis = await startTestRedis();
    onTestFinished(() => redis.stop());
    const states = async () => statesOf(await checkRedis(redis.url));
    expect(await states()).toEqual({
      "Redis memory": "warning",
      "Redis persistence": "warning",
      "TLS to Redis": "ok",
    });
    await redis.command("config", "set", "maxmemory", "100mb");
    await redis.command("config", "set", "maxmemory-policy", "allkeys-lru");
    expect(await states()).toMatchObject({ "Redis memory": "warning" });
    await redis.command("config", "set", "maxmemory-policy", "volatile-ttl");
    await redis.command("config", "set", "appendonly", "yes");
    expect(await states()).toEqual({
      "Redis memory": "ok",
      "Redis persistence": "ok",
      "TLS to Redis": "ok",
    });
    await redis.kill();
    expect(await states()).toEqual({ Redis: "failure" });
  });
});
