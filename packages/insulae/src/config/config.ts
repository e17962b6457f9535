/**
 * The environment, parsed once into one frozen object. Two names of one setting that are both given and
 * differ stop the boot, and all problems are reported at once.
 */
import { resolve } from "node:path";
import { type AwsSettings, channels, type SnsSettings } from "./channels.ts";
import { databaseParts, withDatabaseParts } from "./database-url.ts";
import type { Isolation } from "./isolations.ts";
import { levelsOf, type SmtpServer } from "./parsers.ts";
import { type Quotas, quotasByPlan } from "./quotas.ts";
import { type Values, variables } from "./variables.ts";

export type Environment = "development" | "test" | "production";

export interface Config {
  readonly env: Environment;
  readonly host: string;
  readonly port: number;
  /** Where the server ends TLS itself; absent: nowhere. */
  readonly tlsPort: number | undefined;
  /** The server's own certificate with its chain, for hosts that have none. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** For how many seconds a server that is told to stop is not ready, and serves. */
  readonly drainSeconds: number;
  /** Into how many processes the node is divided (`insulae start --workers`). */
  readonly workers: number;
  /** Where clients reach this server; links in documents start with it. */
  readonly baseUrl: string;
  /** Where the front end's pages are; links in mails start with it. */
  readonly appUrl: string;
  /** How mails leave; `capture`: they don't. */
  readonly mail: "smtp" | "ses" | "sns" | "capture";
  /** Needed by `smtp`. */
  readonly smtp: SmtpServer | undefined;
  /** How text messages leave; absent: they can't. */
  readonly sms: "sns" | "capture" | undefined;
  /** Whether pushes leave: to browsers, and where there is a `sns.pushArn`, to devices. */
  readonly push: "send" | "capture";
  readonly aws: AwsSettings;
  readonly sns: SnsSettings;
  readonly fromEmail: string;
  readonly supportEmail: string | undefined;
  /** Whether an e-mail must be verified before its owner may log in; a tenant's setting wins. */
  readonly emailVerification: "required" | "optional";
  /** `acme.BASE_DOMAIN` is the host of the tenant whose slug is `acme`. */
  readonly baseDomain: string;
  readonly dataDir: string;
  /** The administrator's URL of the first server; absent: the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** The administrator's URL of PostgreSQL itself, where `databaseUrl` leads to a connection pooler. */
  readonly databaseDirectUrl: string | undefined;
  readonly databaseConnections: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Whether to migrate when the server starts, or to refuse to start while migrations are due. */
  readonly migrateOnStart: boolean;
  /** Keys and the database roles' passwords are derived from it; absent: kept in `dataDir`. */
  readonly masterSecret: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly accessTokenSeconds: number;
  readonly refreshTokenDays: number;
  readonly passwordAlgorithm: "argon2id" | "bcrypt";
  readonly bcryptCost: number;
  /** What an Argon2id hash costs. Tests take a cheap one, which production refuses. */
  readonly argon2: Argon2Cost;
  readonly adminEmail: string | undefined;
  readonly adminPassword: string | undefined;
  /** Its key; absent: a request that names no tenant is for none. */
  readonly defaultTenant: string | undefined;
  /** How many tenants an account may own; 0: no limit. */
  readonly tenantsPerAccount: number;
  /** Of tenants that are made without saying one. */
  readonly defaultPlan: string;
  /** How far apart an account may have a tenant's rows, by plan; a plan that is not named here is as `free`. */
  readonly planIsolations: Readonly<Record<string, Isolation>>;
  readonly logLevel: string;
  /** The levels of parts of the server that have one of their own. */
  readonly logLevels: Readonly<Record<string, string>>;
  /** Where the log is written as well. */
  readonly logFile: string | undefined;
  /** The port of the log stream alone; 0: none. */
  readonly wsPort: number;
  readonly wsLogFormat: "text" | "json";
  /** How many lines are kept for a viewer who is too slow. */
  readonly wsLogBufferSize: number;
  /** Who may watch the log, by id or e-mail; empty: whoever has the permission. */
  readonly wsLogsAdminUsers: readonly string[];
  /** Addresses and networks whose `X-Forwarded-*` headers are believed. */
  readonly trustProxy: readonly string[];
  /** Whether those proxies verify clients' certificates, and write the header `Client-Cert` themselves. */
  readonly trustClientCert: boolean;
  /** Origins whose pages may use the API from a browser, beside the tenants' own. */
  readonly corsOrigins: readonly string[];
  /** How long a browser's session lasts that nobody uses. */
  readonly sessionIdleHours: number;
  /** Whether pages of allowed origins may send cookies. */
  readonly corsCredentials: boolean;
  readonly bodyLimitBytes: number;
  /** The bucket that files are in; absent: a folder in `dataDir`. */
  readonly s3: S3Settings | undefined;
  /** A CDN in front of where files are; absent: clients get them from there. */
  readonly cdnBaseUrl: string | undefined;
  /** How long the rows of a deleted tenant are kept. */
  readonly deletedTenantDays: number;
  /** Redis or Valkey; absent: every process is on its own where PostgreSQL is not asked. */
  readonly redisUrl: string | undefined;
  /** After how many milliseconds without a reply Redis counts as away. */
  readonly redisTimeoutMs: number;
  /** How much of `cache` a process keeps itself, where there is no Redis. */
  readonly cacheMegabytes: number;
  /** Of how many tenants, users and tokens a process remembers what it knows. */
  readonly cachedTenants: number;
  readonly rateLimits: RateLimits;
  /** What tenants may have, by plan; a plan that is not named here has the quotas of `free`. */
  readonly quotas: Readonly<Record<string, Quotas>>;
  /** What a scraper of `/metrics` shows. */
  readonly metricsToken: string | undefined;
  /** How many jobs this process runs at once. */
  readonly jobsConcurrency: number;
  /** Who collects traces; absent: nobody. */
  readonly tracing: TracingConfig | undefined;
}

/** Argon2's m and t (RFC 9106). */
export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
}

/** What the OWASP Password Storage Cheat Sheet recommends, with one lane. */
const recommendedArgon2: Argon2Cost = { memoryKib: 19_456, passes: 2 };

/** Requests per minute; 0: no limit. */
export interface RateLimits {
  /** All requests of the installation together. */
  readonly global: number;
  /** A tenant's, by its plan; a plan that is not named here has the rate of `free`. */
  readonly plans: Readonly<Record<string, number>>;
  /** One account's, outside tenants. */
  readonly account: number;
  /** One client's without valid credentials. */
  readonly anonymous: number;
  /** One client's at log-in, registration and the like. */
  readonly credentials: number;
}

export interface TracingConfig {
  /** The collector's address for OTLP over HTTP, `http://localhost:4318`. */
  readonly endpoint: string;
  /** What is sent to the collector with each request, such as its credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly service: string;
  /** Of requests that come without a trace, how many begin one: 0 to 1. */
  readonly ratio: number;
}

export interface S3Settings {
  readonly bucket: string;
  readonly region: string | undefined;
  /** Another server than Amazon's. */
  readonly endpoint: string | undefined;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`. */
  readonly pathStyle: boolean;
}

/** Whether a variable of this name says anything to Insulae. */
export const isSetting = (name: string): boolean => settingNames.includes(name);

/** The names of all variables that say something to Insulae. */
export const settingNames: readonly string[] = [
  ...databaseParts,
  ...Object.values(variables).flatMap(({ names }) => names),
];

/** The configuration can't be used. `problems` says all that is wrong, a line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length} problem${problems.length === 1 ? "" : "s"}:\n${problems.map((line) => `  - ${line}`).join("\n")}`,
    );
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/**
 * Reads the configuration.
 *
 * @param env the environment's variables, such as `process.env`; an empty value counts as absent.
 * @param overrides settings that an application gives in code; they win.
 * @throws ConfigError naming every problem at once.
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  overrides: Partial<Config> = {},
): Config {
  const problems: string[] = [];
  const values = parseAll(withDatabaseParts(env, problems), problems);
  const environment = overrides.env ?? values.env ?? "development";
  const production = environment === "production";
  const port = values.port ?? 8000;
  const baseUrl = values.baseUrl ?? `http://localhost:${overrides.port ?? port}`;
  const config: Config = {
    env: environment,
    host: values.host ?? (production ? "0.0.0.0" : "localhost"),
    port,
    tlsPort: values.tlsPort,
    tlsCertFile: values.tlsCertFile,
    tlsKeyFile: values.tlsKeyFile,
    // Nobody waits for a balancer to notice where there is none.
    drainSeconds: values.drainSeconds ?? (production ? 5 : 0),
    workers: 1,
    baseUrl,
    appUrl: values.appUrl ?? overrides.baseUrl ?? baseUrl,
    ...channels(values, production, problems),
    fromEmail: values.fromEmail ?? "noreply@localhost.test",
    supportEmail: values.supportEmail,
    emailVerification: values.emailVerification ?? (production ? "required" : "optional"),
    baseDomain: values.baseDomain ?? "localhost",
    dataDir: values.dataDir ?? resolve(".insulae"),
    databaseUrl: values.databaseUrl,
    databaseDirectUrl: directUrl(values, problems),
    databaseConnections: values.databaseConnections ?? 40,
    statementTimeoutMs: values.statementTimeoutMs ?? 10_000,
    lockTimeoutMs: values.lockTimeoutMs ?? 5_000,
    migrateOnStart: values.migrateOnStart ?? !production,
    masterSecret: values.masterSecret,
    jwtSecret: values.jwtSecret,
    accessTokenSeconds: accessLifetime(values, problems),
    refreshTokenDays: values.refreshTokenDays ?? 30,
    passwordAlgorithm: values.passwordAlgorithm ?? "argon2id",
    bcryptCost: values.bcryptCost ?? 12,
    argon2: recommendedArgon2,
    adminEmail: values.adminEmail,
    adminPassword: values.adminPassword,
    defaultTenant: values.defaultTenant ?? (production ? undefined : "demo_tenant"),
    tenantsPerAccount: values.tenantsPerAccount ?? (production ? 5 : 1_000),
    defaultPlan: production ? "free" : "premium",
    planIsolations: {
      ...(production ? { free: "pool", premium: "database" } : { free: "database" }),
      ...values.planIsolations,
    },
    // On a terminal, requests are noise.
    logLevel: levelsOf(values.logLevel ?? "")[""] ?? (production ? "info" : "warn"),
    logLevels: levelsOf(values.logLevel ?? ""),
    logFile: values.logFile,
    wsPort: values.wsPort ?? (environment === "test" ? 0 : 9000),
    wsLogFormat: values.wsLogFormat ?? "text",
    wsLogBufferSize: values.wsLogBufferSize ?? 1_000,
    wsLogsAdminUsers: values.wsLogsAdminUsers ?? [],
    trustProxy: values.trustProxy ?? [],
    trustClientCert: values.trustClientCert ?? false,
    corsOrigins: values.corsOrigins ?? [],
    sessionIdleHours: values.sessionIdleHours ?? 24,
    corsCredentials:
      values.corsCredentials ?? (environment === "development" && values.corsOrigins === undefined),
    bodyLimitBytes: values.bodyLimitBytes ?? 1_048_576,
    s3: s3Settings(values, problems),
    cdnBaseUrl: values.cdnBaseUrl,
    deletedTenantDays: values.deletedTenantDays ?? 30,
    redisUrl: values.redisUrl,
    redisTimeoutMs: values.redisTimeoutMs ?? 100,
    cacheMegabytes: values.cacheMegabytes ?? 64,
    cachedTenants: values.cachedTenants ?? 50_000,
    jobsConcurrency: values.jobsConcurrency ?? 10,
    rateLimits: {
      global: values.rateLimitGlobal ?? 100_000,
      plans: { free: 60, standard: 1_000, premium: 10_000, ...values.rateLimitPlans },
      account: values.rateLimitAccount ?? 1_000,
      anonymous: values.rateLimitAnonymous ?? 100,
      // A developer registers, mistypes, resets and logs in again, all from one address.
      credentials: values.rateLimitCredentials ?? (environment === "development" ? 100 : 5),
    },
    metricsToken: values.metricsToken,
    tracing:
      values.otlpEndpoint === undefined
        ? undefined
        : {
            endpoint: values.otlpEndpoint,
            headers: values.otlpHeaders ?? {},
            service: values.otelServiceName ?? "insulae",
            ratio: values.otelRatio ?? 1,
          },
    quotas: quotasByPlan(values.planQuotas ?? {}),
    ...overrides,
  };
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    problems.push("TLS_CERT_FILE and TLS_KEY_FILE belong together; set both or neither");
  }
  if (config.trustClientCert && config.trustProxy.length === 0) {
    problems.push(
      "TRUST_CLIENT_CERT needs TRUST_PROXY, the proxies that set the header Client-Cert",
    );
  }
  const algorithm = config.jwtSecret === undefined ? "eddsa" : "hs256";
  if (values.algorithm && values.algorithm !== algorithm) {
    problems.push(
      "ALGORITHM is HS256 where there is a JWT_SECRET (or SECRET_KEY), and EdDSA where there is none",
    );
  }
  if (production) problems.push(...missingInProduction(config, values));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

function parseAll(env: Readonly<Record<string, string | undefined>>, problems: string[]): Values {
  const values: Record<string, unknown> = {};
  for (const [setting, { names, parse }] of Object.entries(variables)) {
    const given = names.filter((name) => env[name]?.trim());
    const parsed = given.map((name) => {
      try {
        return parse(env[name]?.trim() ?? "");
      } catch (error) {
        problems.push(`${name} ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    });
    values[setting] = parsed[0];
    if (parsed.some((value) => String(value) !== String(parsed[0]))) {
      problems.push(`${given.join(" and ")} are names of one setting and differ; set one of them`);
    }
  }
  // Each value was made by the parser of its own setting.
  return values as Values;
}

/** Undefined: files are in a folder. */
function s3Settings(values: Values, problems: string[]): S3Settings | undefined {
  const region = values.s3Region ?? values.awsRegion;
  const endpoint = values.s3Endpoint ?? values.awsEndpoint;
  if (values.s3Bucket === undefined) {
    if (values.s3Endpoint) problems.push("S3_ENDPOINT needs S3_BUCKET_NAME");
    return undefined;
  }
  if (!region) problems.push("S3_BUCKET_NAME needs S3_REGION or AWS_REGION");
  const pathStyle = values.s3PathStyle ?? endpoint !== undefined;
  return { bucket: values.s3Bucket, region, endpoint, pathStyle };
}

/** One database, by two ways. */
function directUrl(values: Values, problems: string[]): string | undefined {
  const { databaseUrl, databaseDirectUrl } = values;
  if (databaseDirectUrl === undefined) return undefined;
  const nameIn = (url: string) => new URL(url).pathname;
  if (databaseUrl === undefined) {
    problems.push("DATABASE_DIRECT_URL needs DATABASE_URL, the one of the connection pooler");
  } else if (nameIn(databaseUrl) !== nameIn(databaseDirectUrl)) {
    problems.push("DATABASE_DIRECT_URL must name the same database as DATABASE_URL");
  }
  return databaseDirectUrl;
}

function accessLifetime(values: Values, problems: string[]): number {
  const given = [
    values.accessTokenSeconds,
    values.accessTokenHours,
    values.accessTokenMinutes,
  ].filter((seconds) => seconds !== undefined);
  if (new Set(given).size > 1) {
    problems.push(
      "JWT_EXPIRATION, MAX_AGE, JWT_EXPIRATION_HOURS and ACCESS_TOKEN_EXPIRE_MINUTES are one setting and differ; set one of them",
    );
  }
  return given[0] ?? 900;
}

function missingInProduction(config: Config, values: Values): string[] {
  const missing: string[] = [];
  if (!config.databaseUrl) missing.push("DATABASE_URL is required in production");
  if (!config.masterSecret)
    missing.push("MASTER_SECRET is required in production (at least 32 random characters)");
  if (!values.baseUrl)
    missing.push("PUBLIC_URL is required in production, such as https://api.example.com");
  // Whoever says localhost means it, such as for a trial on one machine.
  if (config.baseDomain === "localhost" && !values.baseDomain)
    missing.push("BASE_DOMAIN is required in production, such as example.com");
  if (config.mail === "capture" && values.mail !== "capture")
    missing.push(
      "SMTP_URL or MAIL=ses is required in production: without it nobody can verify an e-mail or reset a password (MAIL=capture runs without, and keeps mails in the database)",
    );
  if (config.mail !== "capture" && !values.fromEmail)
    missing.push("FROM_EMAIL is required in production, such as noreply@example.com");
  const { memoryKib, passes } = recommendedArgon2;
  if (config.argon2.memoryKib < memoryKib || config.argon2.passes < passes)
    missing.push(
      `argon2 of at least ${memoryKib} KiB and ${passes} passes is required in production`,
    );
  return missing;
}
