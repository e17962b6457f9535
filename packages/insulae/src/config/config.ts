/**
 * The environment, parsed once into a frozen object. It is an error to set two names of the same
 * setting to different values. All problems are reported together.
 */
import { resolve } from "node:path";
import { type AwsSettings, channels, type SnsSettings } from "./channels.ts";
import { databaseParts, withDatabaseParts } from "./database-url.ts";
import type { Isolation } from "./isolations.ts";
import { levelsOf, type SmtpServer } from "./parsers.ts";
import { type Places, placesOf } from "./places.ts";
import { type Quotas, quotasByPlan } from "./quotas.ts";
import { type Values, variables } from "./variables.ts";

export type Environment = "development" | "test" | "production";

export interface Config extends Places {
  readonly env: Environment;
  readonly host: string;
  readonly port: number;
  /** The port for TLS terminated by the server itself; absent: none. */
  readonly tlsPort: number | undefined;
  /** The server's own certificate with its chain, for hosts without one. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** How many seconds a server that was asked to stop reports not ready but keeps serving. */
  readonly drainSeconds: number;
  /** The number of processes of the node (`insulae start --workers`). */
  readonly workers: number;
  /** How e-mails are sent; `capture`: they are stored instead. */
  readonly mail: "smtp" | "ses" | "sns" | "capture";
  /** Required for `smtp`. */
  readonly smtp: SmtpServer | undefined;
  /** How text messages are sent; absent: sending fails. */
  readonly sms: "sns" | "capture" | undefined;
  /** Whether push messages are sent: to browsers and, with `sns.pushArn`, to devices. */
  readonly push: "send" | "capture";
  readonly aws: AwsSettings;
  readonly sns: SnsSettings;
  readonly fromEmail: string;
  readonly supportEmail: string | undefined;
  /** Whether users must verify their e-mail before they can log in; a tenant's setting wins. */
  readonly emailVerification: "required" | "optional";
  /** `acme.BASE_DOMAIN` is the host of the tenant whose slug is `acme`. */
  readonly baseDomain: string;
  readonly dataDir: string;
  /** The administrator's URL of the first server; absent: the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /**
   * The administrator's URL of PostgreSQL itself, if `databaseUrl` leads to a connection pooler.
   */
  readonly databaseDirectUrl: string | undefined;
  readonly databaseConnections: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Whether to migrate at start, or to refuse to start while migrations are pending. */
  readonly migrateOnStart: boolean;
  /** Keys and the database roles' passwords derive from it; absent: stored in `dataDir`. */
  readonly masterSecret: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly accessTokenSeconds: number;
  readonly refreshTokenDays: number;
  readonly passwordAlgorithm: "argon2id" | "bcrypt";
  readonly bcryptCost: number;
  /** The cost of an Argon2id hash. Tests use a cheap one, which production refuses. */
  readonly argon2: Argon2Cost;
  readonly adminEmail: string | undefined;
  readonly adminPassword: string | undefined;
  /** Its key; absent: requests that name no tenant have none. */
  readonly defaultTenant: string | undefined;
  /** The maximum number of tenants per account; 0: no limit. */
  readonly tenantsPerAccount: number;
  /** The plan of tenants that are created without one. */
  readonly defaultPlan: string;
  /**
   * The farthest isolation an account may choose, by plan; a plan not listed is treated like
   * `free`.
   */
  readonly planIsolations: Readonly<Record<string, Isolation>>;
  readonly logLevel: string;
  /** Levels of single parts of the server. */
  readonly logLevels: Readonly<Record<string, string>>;
  /** A file that also receives the log. */
  readonly logFile: string | undefined;
  /** The port for the log stream only; 0: none. */
  readonly wsPort: number;
  readonly wsLogFormat: "text" | "json";
  /** How many lines are buffered for a slow viewer. */
  readonly wsLogBufferSize: number;
  /** Who may watch the log, by id or e-mail; empty: everybody with the permission. */
  readonly wsLogsAdminUsers: readonly string[];
  /** Addresses and networks whose `X-Forwarded-*` headers are trusted. */
  readonly trustProxy: readonly string[];
  /** Whether those proxies verify client certificates and set the header `Client-Cert`. */
  readonly trustClientCert: boolean;
  /** Origins whose pages may use the API from a browser, in addition to the tenants' own. */
  readonly corsOrigins: readonly string[];
  /** After how long an unused browser session expires. */
  readonly sessionIdleHours: number;
  /** Whether pages of allowed origins may send cookies. */
  readonly corsCredentials: boolean;
  readonly bodyLimitBytes: number;
  /** The bucket for files; absent: a folder in `dataDir`. */
  readonly s3: S3Settings | undefined;
  /** A CDN in front of the storage; absent: clients download directly. */
  readonly cdnBaseUrl: string | undefined;
  /** How long the rows of a deleted tenant are kept. */
  readonly deletedTenantDays: number;
  /** Redis or Valkey; absent: processes share only what is in PostgreSQL. */
  readonly redisUrl: string | undefined;
  /** After how many milliseconds without a reply Redis counts as unavailable. */
  readonly redisTimeoutMs: number;
  /** The size of a process's own `cache`, if there is no Redis. */
  readonly cacheMegabytes: number;
  /** How many tenants, users and tokens a process caches. */
  readonly cachedTenants: number;
  readonly rateLimits: RateLimits;
  /** Tenants' quotas by plan; a plan not listed has those of `free`. */
  readonly quotas: Readonly<Record<string, Quotas>>;
  /** The bearer token for reading `/metrics`. */
  readonly metricsToken: string | undefined;
  /** How many jobs this process runs in parallel. */
  readonly jobsConcurrency: number;
  /** The trace collector; absent: no tracing. */
  readonly tracing: TracingConfig | undefined;
}

/** Argon2's m and t (RFC 9106). */
export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
}

/** The recommendation of the OWASP Password Storage Cheat Sheet, with one lane. */
const recommendedArgon2: Argon2Cost = { memoryKib: 19_456, passes: 2 };

/** Requests per minute; 0: no limit. */
export interface RateLimits {
  /** All requests of the installation together. */
  readonly global: number;
  /** A tenant's, by plan; a plan not listed has the rate of `free`. */
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
  /** Headers to send to the collector with each request, such as credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly service: string;
  /** The share of requests without an incoming trace that start one, from 0 to 1. */
  readonly ratio: number;
}

export interface S3Settings {
  readonly bucket: string;
  readonly region: string | undefined;
  /** An S3 endpoint other than Amazon's. */
  readonly endpoint: string | undefined;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`. */
  readonly pathStyle: boolean;
}

/** Whether Insulae reads a variable of this name. */
export const isSetting = (name: string): boolean => settingNames.includes(name);

/** The names of all variables that Insulae reads. */
export const settingNames: readonly string[] = [
  ...databaseParts,
  ...Object.values(variables).flatMap(({ names }) => names),
];

/** The configuration is invalid. `problems` lists everything that is wrong, one line each. */
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
 * @param env the environment's variables, such as `process.env`; an empty value counts as absent
 * @param overrides settings that an application sets in code; they win
 * @throws ConfigError that lists all problems
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
  const config: Config = {
    env: environment,
    host: values.host ?? (production ? "0.0.0.0" : "localhost"),
    port,
    tlsPort: values.tlsPort,
    tlsCertFile: values.tlsCertFile,
    tlsKeyFile: values.tlsKeyFile,
    // In development there is no load balancer that has to notice.
    drainSeconds: values.drainSeconds ?? (production ? 5 : 0),
    workers: 1,
    ...placesOf(values, overrides, { port, production }),
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
    // In a terminal, a line for every request is noise.
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
      // Developers register, mistype, reset and log in again, all from one address.
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
    problems.push("set both TLS_CERT_FILE and TLS_KEY_FILE, or neither");
  }
  if (config.trustClientCert && config.trustProxy.length === 0) {
    problems.push(
      "TRUST_CLIENT_CERT needs TRUST_PROXY, the proxies that set the header Client-Cert",
    );
  }
  const algorithm = config.jwtSecret === undefined ? "eddsa" : "hs256";
  if (values.algorithm && values.algorithm !== algorithm) {
    problems.push(
      "ALGORITHM must be HS256 if JWT_SECRET (or SECRET_KEY) is set, and EdDSA otherwise",
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
      problems.push(
        `${given.join(" and ")} are names of the same setting and differ; set only one of them`,
      );
    }
  }
  // Each value comes from the parser of its own setting.
  return values as Values;
}

/** @returns undefined if files are stored in a folder */
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

/** The direct URL must lead to the same database as the pooler's. */
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
      "JWT_EXPIRATION, MAX_AGE, JWT_EXPIRATION_HOURS and ACCESS_TOKEN_EXPIRE_MINUTES are names of the same setting and differ; set only one of them",
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
  // An explicit localhost is deliberate, for example for a trial on one machine.
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
