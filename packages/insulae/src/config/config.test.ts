import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "./config.ts";

const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    return error instanceof ConfigError ? error.problems : [String(error)];
  }
};

describe("the configuration", () => {
  test("has defaults for everything in development", () => {
    expect(loadConfig({})).toMatchObject({
      env: "development",
      port: 8000,
      databaseConnections: 40,
    });
  });

  test.each([
    ["API_PORT", "port", "9", 9],
    ["APP_PORT", "port", "9", 9],
    ["MASTER_DATABASE_URL", "databaseUrl", "postgres://u:p@h/d", "postgres://u:p@h/d"],
    ["JWT_EXPIRATION_HOURS", "accessTokenSeconds", "24", 86_400],
    ["ACCESS_TOKEN_EXPIRE_MINUTES", "accessTokenSeconds", "30", 1_800],
    ["MAX_AGE", "accessTokenSeconds", "604800", 604_800],
    ["RUST_LOG", "logLevel", "debug,backend=trace", "debug"],
    [
      "RUST_LOG",
      "logLevels",
      "insulae::http=warn, info,database=TRACE",
      { "": "info", http: "warn", database: "trace" },
    ],
  ] as const)("%s sets %s", (name, setting, value, expected) => {
    expect(loadConfig({ [name]: value })[setting]).toEqual(expected);
  });

  test("accepts the database's URL in parts", () => {
    const env = { DB_HOST: "db", DB_USERNAME: "u", DB_PASSWORD: "p@ss", DB_PORT: "5433" };
    expect(loadConfig(env).databaseUrl).toBe("postgresql://u:p%40ss@db:5433/insulae");
  });

  test("adds your own plans to the defaults", () => {
    const env = { RATE_LIMIT_PLANS: "gold=5000, free=30", RATE_LIMIT_CREDENTIALS: "0" };
    expect(loadConfig(env).rateLimits).toEqual({
      global: 100_000,
      plans: { free: 30, standard: 1_000, premium: 10_000, gold: 5_000 },
      account: 1_000,
      anonymous: 100,
      credentials: 0,
    });
    expect(problemsOf({ RATE_LIMIT_PLANS: "gold" })).toHaveLength(1);
    expect(problemsOf({ RATE_LIMIT_PLANS: "gold=1e99" })).toHaveLength(1);
  });

  test("adds your own quotas to the defaults", () => {
    const { quotas } = loadConfig({ PLAN_QUOTAS: "free.users=3, gold.rows=5" });
    expect(quotas.free).toMatchObject({ users: 3, rows: 10_000 });
    expect(quotas.gold).toEqual({ rows: 5 });
    expect(quotas.premium).toBeDefined();
    for (const wrong of ["gold=5", "gold.cars=5", "gold.rows=-1", "gold.rows=1e9"]) {
      expect(problemsOf({ PLAN_QUOTAS: wrong })).toHaveLength(1);
    }
  });

  test("reports all problems at once, without values", () => {
    const problems = problemsOf({ PORT: "x", JWT_SECRET: "hunter2", DATABASE_URL: "mysql://" });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toContain("hunter2");
  });

  test.each([
    { PORT: "1", API_PORT: "2" },
    { JWT_EXPIRATION: "60", MAX_AGE: "61" },
    { JWT_EXPIRATION: "60", JWT_EXPIRATION_HOURS: "1" },
  ])("refuses two names of one setting with different values: %j", (env) => {
    expect(problemsOf(env).length).toBeGreaterThan(0);
  });

  test("generates nothing in production", () => {
    const problems = problemsOf({ APP_ENV: "production" }).join("\n");
    for (const name of ["DATABASE_URL", "MASTER_SECRET", "PUBLIC_URL", "BASE_DOMAIN"]) {
      expect(problems).toContain(name);
    }
  });

  test("gives accounts and strangers minimal rights in production", () => {
    const env = {
      APP_ENV: "production",
      DATABASE_URL: "postgres://db.example/insulae",
      MASTER_SECRET: "x".repeat(32),
      PUBLIC_URL: "https://api.example.com",
      BASE_DOMAIN: "example.com",
      MAIL: "capture",
    };
    expect(loadConfig(env)).toMatchObject({
      console: "platform",
      defaultTenant: undefined,
      tenantsPerAccount: 5,
      defaultPlan: "free",
      planIsolations: { free: "pool", premium: "database" },
    });
    const given = loadConfig({
      ...env,
      DEFAULT_TENANT: "Demo_Tenant",
      PLAN_ISOLATIONS: "free=schema",
    });
    expect(given.defaultTenant).toBe("demo_tenant");
    expect(given.planIsolations).toEqual({ free: "schema", premium: "database" });
    expect(problemsOf({ DEFAULT_TENANT: "7", PLAN_ISOLATIONS: "free=moon" })).toHaveLength(2);
  });

  test("trusts the header Client-Cert only from a trusted proxy", () => {
    expect(loadConfig({ TRUST_PROXY: "10.0.0.1" }).trustClientCert).toBe(false);
    expect(problemsOf({ TRUST_CLIENT_CERT: "true" })).toEqual([
      expect.stringContaining("TRUST_CLIENT_CERT needs TRUST_PROXY"),
    ]);
    const env = { TRUST_CLIENT_CERT: "true", TRUST_PROXY: "10.0.0.1" };
    expect(loadConfig(env).trustClientCert).toBe(true);
  });

  test("refuses cheap password hashes in production", () => {
    const cheap = { env: "production", argon2: { memoryKib: 64, passes: 2 } } as const;
    expect(() => loadConfig({}, cheap)).toThrow("argon2 of at least 19456 KiB and 2 passes");
  });
});

test("requires a region for a bucket, and uses path style for S3 services other than Amazon's", () => {
  const of = (env: Record<string, string>) => loadConfig({ S3_BUCKET_NAME: "files", ...env }).s3;
  expect(() => of({})).toThrow("S3_BUCKET_NAME needs S3_REGION or AWS_REGION");
  expect(() => loadConfig({ S3_ENDPOINT: "https://s3.example.com" })).toThrow("S3_BUCKET_NAME");
  expect(of({ AWS_REGION: "eu-west-1" })).toMatchObject({ region: "eu-west-1", pathStyle: false });
  const endpoint = "https://s3.example.com";
  expect(of({ S3_REGION: "eu-west-1", S3_ENDPOINT: endpoint })).toMatchObject({
    endpoint,
    pathStyle: true,
  });
});

describe("mails lead", () => {
  const url = "https://api.example.com/tools";
  test.each([
    [{}, `${url}/console`],
    [{ CONSOLE: "platform" }, `${url}/console`],
    [{ CONSOLE: "off" }, url],
    [{ CONSOLE: "off", APP_URL: "https://app.example.com/" }, "https://app.example.com"],
    [{ APP_URL: "https://app.example.com" }, "https://app.example.com"],
  ])("with %o to %s", (env, appUrl) => {
    expect(loadConfig({ PUBLIC_URL: url, ...env }).appUrl).toBe(appUrl);
  });

  test("where an application says so in code", () => {
    expect(loadConfig({ CONSOLE: "on" }, { console: "off" }).appUrl).toBe("http://localhost:8000");
    expect(loadConfig({}, { baseUrl: url }).appUrl).toBe(`${url}/console`);
  });

  test("to a console that is at every host in development", () => {
    expect(loadConfig({}).console).toBe("on");
    expect(() => loadConfig({ CONSOLE: "yes" })).toThrow("CONSOLE");
  });
});
