/** The unchanged environments of the five sources, and each of their variables alone. */
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { type Config, ConfigError, loadConfig } from "./config.ts";
import { variables } from "./variables.ts";

const problemsOf = (env: Readonly<Record<string, string | undefined>>): readonly string[] => {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    return error instanceof ConfigError ? error.problems : [String(error)];
  }
};

const secret = "a secret that is long enough for anybody";

test("the environment of the database-per-tenant source works unchanged", () => {
  const text = `
# Database Configuration
MASTER_DATABASE_URL=postgresql://pgroot:admin@localhost:5432/rust_multi_tenant
DB_USERNAME=pgroot
DB_PASSWORD=admin
DB_HOST=localhost
DB_PORT=5432

# JWT Configuration
JWT_SECRET=your-super-secret-jwt-key-here-make-it-long-and-random-at-least-32-characters
JWT_EXPIRATION=3600

# CORS Configuration
CORS_ORIGINS=http://localhost:3000,http://localhost:3001

# Logging
RUST_LOG=debug
`;
  expect(loadConfig(parseEnv(text))).toMatchObject({
    databaseUrl: "postgresql://pgroot:admin@localhost:5432/rust_multi_tenant",
    jwtSecret: expect.stringMatching(/^your-super-secret/),
    accessTokenSeconds: 3_600,
    corsOrigins: ["http://localhost:3000", "http://localhost:3001"],
    logLevel: "debug",
  });
  expect(loadConfig({ RUST_LOG: "debug,sea_orm=debug" })).toMatchObject({ logLevel: "debug" });
});

test("the environment of the platform works unchanged", () => {
  const text = `
RUST_ENV=development
RUST_LOG=info,backend=debug
API_PORT=8000
API_VERSION=v1
DATABASE_URL=postgresql://user:password@localhost:5432/multitenant_db
JWT_SECRET=your-super-secret-jwt-key-min-32-chars
JWT_EXPIRATION_HOURS=24
REFRESH_TOKEN_EXPIRATION_DAYS=30
REDIS_URL=redis://localhost:6379/0
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=your-access-key
AWS_SECRET_ACCESS_KEY=your-secret-key
S3_BUCKET_NAME=multitenant-backend-bucket
S3_REGION=us-east-1
SNS_REGION=us-east-1
SNS_EMAIL_TOPIC_ARN=arn:aws:sns:us-east-1:123456789:email-topic
SNS_SMS_TOPIC_ARN=arn:aws:sns:us-east-1:123456789:sms-topic
SNS_PUSH_TOPIC_ARN=arn:aws:sns:us-east-1:123456789:push-topic
SUPPORT_EMAIL=support@example.com
FROM_EMAIL=noreply@example.com
`;
  const topic = (name: string) => `arn:aws:sns:us-east-1:123456789:${name}-topic`;
  expect(loadConfig(parseEnv(text))).toMatchObject({
    env: "development",
    logLevel: "info",
    logLevels: { backend: "debug" },
    port: 8_000,
    databaseUrl: "postgresql://user:password@localhost:5432/multitenant_db",
    jwtSecret: "your-super-secret-jwt-key-min-32-chars",
    accessTokenSeconds: 86_400,
    refreshTokenDays: 30,
    redisUrl: "redis://localhost:6379/0",
    aws: {
      region: "us-east-1",
      credentials: { accessKeyId: "your-access-key", secretAccessKey: "your-secret-key" },
    },
    s3: { bucket: "multitenant-backend-bucket", region: "us-east-1" },
    // Setting topics means using them.
    mail: "sns",
    sms: "sns",
    push: "send",
    sns: {
      region: "us-east-1",
      emailTopicArn: topic("email"),
      smsTopicArn: topic("sms"),
      pushArn: topic("push"),
    },
    supportEmail: "support@example.com",
    fromEmail: "noreply@example.com",
  });
  expect(problemsOf({ API_VERSION: "v2" })).toEqual(["API_VERSION must be one of v1"]);
});

test("the environment of the address book with live logs works unchanged", () => {
  const text = `
DATABASE_URL=postgres://user:password@localhost/dbname
REDIS_URL=redis://127.0.0.1:6379
JWT_SECRET=your-secret-key-here
MAX_AGE=604800
APP_HOST=0.0.0.0
APP_PORT=8080
LOG_FILE=logs/app.log
CORS_ORIGINS=http://localhost:3000,http://localhost:4321
CORS_CREDENTIALS=true
`;
  const env = parseEnv(text);
  // Its example of a secret is refused.
  expect(problemsOf(env)).toEqual(["JWT_SECRET must have at least 32 characters"]);
  const more = {
    JWT_SECRET: secret,
    CORS_ALLOWED_ORIGINS: env.CORS_ORIGINS,
    RUST_LOG: "rcs::api=debug,rcs::services=info",
    WS_LOG_BUFFER_SIZE: "500",
    WS_LOG_FORMAT: "json",
    WS_LOGS_ADMIN_USER: "admin@example.com,user1,user2",
  };
  expect(loadConfig({ ...env, ...more })).toMatchObject({
    databaseUrl: "postgres://user:password@localhost/dbname",
    redisUrl: "redis://127.0.0.1:6379",
    accessTokenSeconds: 604_800,
    host: "0.0.0.0",
    port: 8_080,
    logFile: resolve("logs/app.log"),
    corsOrigins: ["http://localhost:3000", "http://localhost:4321"],
    corsCredentials: true,
    logLevels: { "rcs::api": "debug", "rcs::services": "info" },
    wsLogBufferSize: 500,
    wsLogFormat: "json",
    wsLogsAdminUsers: ["admin@example.com", "user1", "user2"],
  });
  expect(loadConfig({})).toMatchObject({
    wsPort: 9_000,
    wsLogBufferSize: 1_000,
    wsLogFormat: "text",
    wsLogsAdminUsers: [],
  });
  expect(loadConfig({ APP_WS_PORT: "9001" }).wsPort).toBe(9_001);
  expect(loadConfig({ CORS_ALLOWED_ORIGINS: "https://a.example" }).corsOrigins).toHaveLength(1);
  expect(problemsOf({ CORS_ALLOWED_ORIGINS: "*" })).toHaveLength(1);
  // Other requirements of production are reported too.
  const production = problemsOf({ ...env, APP_ENV: "production" });
  expect(production.join("\n")).toMatch(/JWT_SECRET[\s\S]*MASTER_SECRET[\s\S]*PUBLIC_URL/);
});

test("bcrypt and its cost can be configured", () => {
  expect(loadConfig({ PASSWORD_ALGORITHM: "bcrypt", BCRYPT_COST: "11" })).toMatchObject({
    passwordAlgorithm: "bcrypt",
    bcryptCost: 11,
  });
  expect(problemsOf({ BCRYPT_COST: "4" })).toHaveLength(1);
});

test("the environment of the core and organizations works unchanged", () => {
  const env = { DATABASE_URL: "postgresql://user:pass@db:5432/core", SECRET_KEY: secret };
  expect(loadConfig({ ...env, ALGORITHM: "HS256" })).toMatchObject({
    databaseUrl: env.DATABASE_URL,
    jwtSecret: secret,
    accessTokenSeconds: 900,
  });
  expect(loadConfig({ ACCESS_TOKEN_EXPIRE_MINUTES: "30" }).accessTokenSeconds).toBe(1_800);
  for (const wrong of [{ ALGORITHM: "HS256" }, { SECRET_KEY: secret, ALGORITHM: "EdDSA" }]) {
    expect(problemsOf(wrong)).toEqual([expect.stringContaining("ALGORITHM must be HS256 if")]);
  }
  expect(problemsOf({ ALGORITHM: "none" })).toHaveLength(1);
});

/** Two different values for each setting that has several names. */
const values: Readonly<Record<string, readonly [string, string]>> = {
  env: ["test", "development"],
  host: ["a.example", "b.example"],
  port: ["1", "2"],
  smtpUser: ["a", "b"],
  databaseUrl: ["postgres://a@h/d", "postgres://b@h/d"],
  jwtSecret: [secret, `${secret}!`],
  accessTokenSeconds: ["60", "61"],
  logLevel: ["info", "debug"],
  corsOrigins: ["https://a.example", "https://b.example"],
};

describe("names of one setting", () => {
  const settings = Object.entries(variables).filter(([, { names }]) => names.length > 1);

  test("include those of the sources", () => {
    expect(settings.map(([setting]) => setting).sort()).toEqual(Object.keys(values).sort());
  });

  test.each(settings)(
    "%s: all have the same effect, and differing values stop the boot",
    (setting, { names }) => {
      const [value = "", other = ""] = values[setting] ?? [];
      const needed = setting === "smtpUser" ? { SMTP_HOST: "mail.example" } : {};
      const loaded = names.map((name) => loadConfig({ ...needed, [name]: value }));
      for (const config of loaded) expect(config).toEqual(loaded[0]);
      expect(loaded[0]).not.toEqual(loadConfig(needed));
      const [first = "", ...others] = names;
      for (const name of others) {
        expect(loadConfig({ ...needed, [first]: value, [name]: value })).toEqual(loaded[0]);
        expect(problemsOf({ ...needed, [first]: value, [name]: other })).toEqual([
          `${first} and ${name} are names of the same setting and differ; set only one of them`,
        ]);
      }
    },
  );
});

describe("a conflict", () => {
  test.each<[string, Record<string, string>, string]>([
    ["lifetimes in several units", { JWT_EXPIRATION: "60", JWT_EXPIRATION_HOURS: "1" }, "differ"],
    ["a URL and its parts", { DATABASE_URL: "postgres://u@h/d", DB_HOST: "other" }, "DB_HOST"],
    ["parts without a host", { DB_USERNAME: "u", DB_PASSWORD: "p" }, "need DB_HOST"],
    ["half of a key of Amazon's", { AWS_ACCESS_KEY_ID: "a" }, "set both"],
    ["two mail servers", { SMTP_URL: "smtp://a", SMTP_HOST: "b" }, "both set"],
    ["a topic that is nowhere", { SNS_EMAIL_TOPIC_ARN: "arn" }, "SNS_REGION"],
    ["a bucket that is nowhere", { S3_BUCKET_NAME: "b" }, "S3_REGION"],
  ])("of %s stops the boot", (_, env, problem) => {
    const problems = problemsOf(env);
    expect(problems).toEqual([expect.stringContaining(problem)]);
    // Equal values are no conflict.
    expect(problemsOf({ JWT_EXPIRATION: "3600", JWT_EXPIRATION_HOURS: "1" })).toEqual([]);
  });

  test("is reported together with all others", () => {
    const problems = problemsOf({
      PORT: "1",
      API_PORT: "2",
      MAX_AGE: "60",
      ACCESS_TOKEN_EXPIRE_MINUTES: "2",
      JWT_SECRET: "short",
      DB_HOST: "a",
      DATABASE_URL: "postgres://u@b/d",
      RUST_LOG: "loud",
      WS_LOG_FORMAT: "xml",
    });
    for (const name of ["PORT", "MAX_AGE", "JWT_SECRET", "DB_HOST", "RUST_LOG", "WS_LOG_FORMAT"]) {
      expect(problems.filter((problem) => problem.includes(name))).toHaveLength(1);
    }
  });
});

test("implicit promises of the sources are the defaults", () => {
  const defaults: Partial<Config> = {
    port: 8_000,
    accessTokenSeconds: 900,
    refreshTokenDays: 30,
    logLevel: "warn",
  };
  const config = loadConfig({});
  expect(config).toMatchObject(defaults);
  expect(config.rateLimits).toMatchObject({
    global: 100_000,
    plans: { free: 60, standard: 1_000, premium: 10_000 },
  });
  const production = {
    APP_ENV: "production",
    DATABASE_URL: "postgres://u:p@h/d",
    MASTER_SECRET: secret,
    PUBLIC_URL: "https://api.example.com",
    BASE_DOMAIN: "example.com",
    MAIL: "capture",
  };
  expect(loadConfig(production)).toMatchObject({ logLevel: "info", host: "0.0.0.0" });
});
