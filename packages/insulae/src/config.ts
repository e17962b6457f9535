/**
 * The environment, parsed once into one frozen object. `variables` is the only place that names a
 * variable; the reference in `docs/` is made from it. Two names of one setting that are both given
 * and differ stop the boot, and all problems are reported at once.
 *
 * Long because it is a table: what each setting is, once as a type and once as a variable.
 */
import { resolve } from "node:path";
import { channels } from "./config.channels.ts";
import {
  atLeast,
  databaseUrl,
  emailAddress,
  flag,
  integer,
  levelsOf,
  list,
  logFilter,
  oneOf,
  origins,
  pairs,
  perMinute,
  planQuotas,
  plans,
  redisUrl,
  share,
  smtpUrl,
  text,
  topicArn,
  webUrl,
} from "./config.parsers.ts";

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
  readonly defaultTenant: string;
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

export const quotaNames = [
  "users",
  "rows",
  "storage_bytes",
  "requests_per_day",
  "notifications_per_day",
  "jobs_per_day",
] as const;
export type QuotaName = (typeof quotaNames)[number];

/** How much of something a tenant may have, or do in a day (UTC); not named, or 0: no limit. */
export type Quotas = { readonly [Name in QuotaName]?: number };

const defaultQuotas: Readonly<Record<string, Quotas>> = {
  free: {
    users: 10,
    rows: 10_000,
    storage_bytes: 1_000_000_000,
    notifications_per_day: 200,
    jobs_per_day: 1_000,
  },
  standard: {
    users: 200,
    rows: 1_000_000,
    storage_bytes: 100_000_000_000,
    notifications_per_day: 20_000,
    jobs_per_day: 100_000,
  },
  premium: { storage_bytes: 5_000_000_000_000 },
};

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

export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** `implicit` from the first byte, `starttls` or nothing, or `none`. */
  readonly tls: "implicit" | "starttls" | "none";
  readonly auth: { readonly user: string; readonly pass: string } | undefined;
}

/** For all of Amazon's services; what is absent is looked for as the SDK does. */
export interface AwsSettings {
  readonly region: string | undefined;
  /** Another server than Amazon's. */
  readonly endpoint: string | undefined;
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string }
    | undefined;
}

export interface S3Settings {
  readonly bucket: string;
  readonly region: string | undefined;
  /** Another server than Amazon's. */
  readonly endpoint: string | undefined;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`. */
  readonly pathStyle: boolean;
}

/** A topic's subscribers deliver what is published there. */
export interface SnsSettings {
  readonly region: string | undefined;
  readonly emailTopicArn: string | undefined;
  readonly smsTopicArn: string | undefined;
  /** A topic, or a platform application, of which devices become endpoints. */
  readonly pushArn: string | undefined;
  /** To which SES reports bounces and complaints. */
  readonly feedbackTopicArn: string | undefined;
}

interface Variable<T> {
  /** The variable's name, and the other names under which the same setting is known. */
  readonly names: readonly [string, ...string[]];
  readonly parse: (text: string) => T;
  readonly meaning: string;
}

const variable = <T>(
  names: readonly [string, ...string[]],
  parse: (text: string) => T,
  meaning: string,
): Variable<T> => ({ names, parse, meaning });

const day = 86_400;

export const variables = {
  env: variable(
    ["APP_ENV", "NODE_ENV", "RUST_ENV"],
    oneOf("development", "test", "production"),
    "development, test or production. In production nothing is generated or open by default",
  ),
  host: variable(
    ["HOST", "APP_HOST"],
    text,
    "the address to listen on; default localhost, in production 0.0.0.0",
  ),
  port: variable(
    ["PORT", "API_PORT", "APP_PORT"],
    integer(0, 65_535),
    "the port to listen on; default 8000",
  ),
  tlsPort: variable(
    ["TLS_PORT"],
    integer(0, 65_535),
    "a second port, on which the server ends TLS itself; default none",
  ),
  tlsCertFile: variable(
    ["TLS_CERT_FILE"],
    (value) => resolve(value),
    "a PEM file with the certificate (and its chain) for hosts that have none of their own; read again when it changes",
  ),
  tlsKeyFile: variable(["TLS_KEY_FILE"], (value) => resolve(value), "its private key"),
  apiVersion: variable(
    ["API_VERSION"],
    oneOf("v1"),
    "the version of the API, which is in its paths: v1, the only one that there is",
  ),
  baseUrl: variable(
    ["PUBLIC_URL"],
    webUrl,
    "where clients reach this server; required in production",
  ),
  appUrl: variable(
    ["APP_URL"],
    webUrl,
    "where the front end's pages are, to which links in mails lead; default PUBLIC_URL",
  ),
  mail: variable(
    ["MAIL"],
    oneOf("smtp", "ses", "sns", "capture"),
    "smtp and ses send mails, sns publishes them to SNS_EMAIL_TOPIC_ARN; capture keeps the newest in the database instead, to be read by GET /api/v1/dev/mails (not in production) or by a platform administrator. Default smtp where a server is given, sns where a topic is, otherwise capture; in production one must be said or given",
  ),
  sms: variable(
    ["SMS"],
    oneOf("sns", "capture"),
    "sns sends text messages; capture keeps them, as MAIL does (GET /api/v1/dev/messages). Default sns where SNS_REGION is given; otherwise capture, in production none, and a text message fails",
  ),
  push: variable(
    ["PUSH"],
    oneOf("send", "capture"),
    "send sends push notifications, to browsers by Web Push and to devices by SNS_PUSH_TOPIC_ARN; capture keeps them, as MAIL does. Default send in production and where that is given, otherwise capture",
  ),
  awsRegion: variable(["AWS_REGION"], text, "the region of Amazon's services"),
  awsAccessKeyId: variable(
    ["AWS_ACCESS_KEY_ID"],
    text,
    "who asks them; without it, as the machine or container is known to Amazon",
  ),
  awsSecretAccessKey: variable(["AWS_SECRET_ACCESS_KEY"], text, "the secret of that key"),
  awsSecretId: variable(
    ["AWS_SECRET_ID"],
    text,
    "the name or ARN of a secret in AWS Secrets Manager: a JSON object of settings such as MASTER_SECRET and DATABASE_URL, read at the start",
  ),
  awsEndpoint: variable(
    ["AWS_ENDPOINT_URL"],
    webUrl,
    "a server that stands in for Amazon's; default Amazon's own",
  ),
  snsRegion: variable(["SNS_REGION"], text, "the region of SNS; default AWS_REGION"),
  snsEmailTopicArn: variable(
    ["SNS_EMAIL_TOPIC_ARN"],
    text,
    "the topic that MAIL=sns publishes mails to, for a subscriber that delivers them",
  ),
  snsSmsTopicArn: variable(
    ["SNS_SMS_TOPIC_ARN"],
    text,
    "the topic to publish text messages to, for a subscriber that delivers them; default: SNS sends them itself",
  ),
  snsPushTopicArn: variable(
    ["SNS_PUSH_TOPIC_ARN"],
    text,
    "where pushes to devices go: a topic, for a subscriber that delivers them, or a platform application (arn:aws:sns:…:app/…), in which device tokens become endpoints",
  ),
  sesFeedbackTopicArn: variable(
    ["SES_FEEDBACK_TOPIC_ARN"],
    topicArn,
    "the SNS topic to which SES reports bounces and complaints; it is to be subscribed to by <PUBLIC_URL>/api/v1/notifications/feedback/sns, which without this setting is not there",
  ),
  smtp: variable(
    ["SMTP_URL"],
    smtpUrl,
    "the mail server: smtp://user:password@host:587 (STARTTLS is insisted on), smtps://… (TLS from the start), or smtp://…?tls=none",
  ),
  smtpHost: variable(["SMTP_HOST"], text, "the mail server's host, instead of SMTP_URL"),
  smtpPort: variable(
    ["SMTP_PORT"],
    integer(1, 65_535),
    "and port; default 587 with STARTTLS, 465 is TLS from the start",
  ),
  smtpUser: variable(["SMTP_USER", "SMTP_USERNAME"], text, "and user name"),
  smtpPassword: variable(["SMTP_PASSWORD"], text, "and password"),
  fromEmail: variable(
    ["FROM_EMAIL"],
    emailAddress,
    "whom mails come from; required with a mail server in production; default noreply@localhost.test",
  ),
  supportEmail: variable(
    ["SUPPORT_EMAIL"],
    emailAddress,
    "whom to write to, named at the end of mails",
  ),
  emailVerification: variable(
    ["EMAIL_VERIFICATION"],
    oneOf("required", "optional"),
    "whether an e-mail must be verified before its owner may log in; a tenant's setting email_verification wins for its users. Default optional, in production required",
  ),
  baseDomain: variable(
    ["BASE_DOMAIN"],
    (value) => value.toLowerCase(),
    "the domain whose subdomains are tenants' hosts; default localhost",
  ),
  dataDir: variable(
    ["DATA_DIR"],
    (value) => resolve(value),
    "the folder that holds everything; default .insulae",
  ),
  databaseUrl: variable(
    ["DATABASE_URL", "MASTER_DATABASE_URL"],
    databaseUrl,
    "an administrator's URL of a PostgreSQL 15 or later; default: an embedded PostgreSQL 18",
  ),
  databaseConnections: variable(
    ["DB_CONNECTIONS"],
    integer(6, 10_000),
    "how many connections this process may have in all; default 40",
  ),
  statementTimeoutMs: variable(
    ["DB_STATEMENT_TIMEOUT_MS"],
    integer(10, 3_600_000),
    "after how many milliseconds a statement is cancelled; default 10000",
  ),
  lockTimeoutMs: variable(
    ["DB_LOCK_TIMEOUT_MS"],
    integer(10, 3_600_000),
    "how many milliseconds a statement or a migration waits for a lock; default 5000",
  ),
  migrateOnStart: variable(
    ["MIGRATE_ON_START"],
    flag,
    "whether due migrations run at start; default true, in production false",
  ),
  masterSecret: variable(
    ["MASTER_SECRET"],
    atLeast(32),
    "keys and database passwords are derived from it; required in production, otherwise generated into DATA_DIR",
  ),
  jwtSecret: variable(
    ["JWT_SECRET", "SECRET_KEY"],
    atLeast(32),
    "signs tokens with HS256; default: EdDSA with keys of the control plane",
  ),
  algorithm: variable(
    ["ALGORITHM"],
    oneOf("hs256", "eddsa"),
    "what tokens are signed with: HS256 where there is a JWT_SECRET, otherwise EdDSA. It follows from that, and is only compared with it",
  ),
  accessTokenSeconds: variable(
    ["JWT_EXPIRATION", "MAX_AGE"],
    integer(1, 365 * day),
    "the lifetime of access tokens in seconds; default 900",
  ),
  accessTokenHours: variable(
    ["JWT_EXPIRATION_HOURS"],
    integer(3600, 365 * day, 3600),
    "the same in hours",
  ),
  accessTokenMinutes: variable(
    ["ACCESS_TOKEN_EXPIRE_MINUTES"],
    integer(60, 365 * day, 60),
    "the same in minutes",
  ),
  refreshTokenDays: variable(
    ["REFRESH_TOKEN_EXPIRATION_DAYS"],
    integer(1, 365),
    "for how many days a refresh token is good, and a session that is not used lasts; default 30",
  ),
  passwordAlgorithm: variable(
    ["PASSWORD_ALGORITHM"],
    oneOf("argon2id", "bcrypt"),
    "what new passwords are hashed with; hashes of both are verified, and renewed at the next log-in where they are of the other kind or another cost. bcrypt takes at most 72 bytes. Default argon2id",
  ),
  bcryptCost: variable(
    ["BCRYPT_COST"],
    integer(10, 16),
    "bcrypt's cost; each one more doubles the work. Default 12",
  ),
  adminEmail: variable(
    ["ADMIN_EMAIL"],
    text,
    "the first platform administrator's e-mail; in development admin@localhost.test",
  ),
  adminPassword: variable(
    ["ADMIN_PASSWORD"],
    atLeast(8),
    "and password; in development generated and printed once",
  ),
  defaultTenant: variable(
    ["DEFAULT_TENANT"],
    text,
    "where a sign-up without a tenant goes in dialects that know no core accounts; default demo_tenant",
  ),
  logLevel: variable(
    ["LOG_LEVEL", "RUST_LOG"],
    logFilter,
    "trace, debug, info, warn, error, fatal or silent; default warn, in production info. Parts of the server may have another: info,http=warn,database=debug (docs/logs.md names them)",
  ),
  logFile: variable(
    ["LOG_FILE"],
    (value) => resolve(value),
    "a file that the log is written to as well; opened anew on SIGHUP; default none",
  ),
  wsPort: variable(
    ["APP_WS_PORT"],
    integer(0, 65_535),
    "a port for the log stream alone, at /logs; 0 for none; default 9000. Only those who watch logs should reach it",
  ),
  wsLogFormat: variable(
    ["WS_LOG_FORMAT"],
    oneOf("text", "json"),
    "how the log stream shows a line; default text",
  ),
  wsLogBufferSize: variable(
    ["WS_LOG_BUFFER_SIZE"],
    integer(0, 100_000),
    "how many lines are kept for a viewer of the log stream who is too slow, before the oldest are dropped; 0 is as 1; default 1000",
  ),
  wsLogsAdminUsers: variable(
    ["WS_LOGS_ADMIN_USER"],
    list,
    "ids or e-mails, separated by commas: of those who may watch logs, only these do; default all of them",
  ),
  trustProxy: variable(
    ["TRUST_PROXY"],
    list,
    "addresses or networks of proxies whose X-Forwarded headers are believed; default none",
  ),
  corsOrigins: variable(
    ["CORS_ORIGINS", "CORS_ALLOWED_ORIGINS"],
    origins,
    "origins whose pages may use the API, such as https://app.example.com, separated by commas; default none. There is no wildcard",
  ),
  sessionIdleHours: variable(
    ["SESSION_IDLE_HOURS"],
    integer(1, 24 * 365),
    "after how many hours without use a browser's session ends; default 24. It never lasts longer than a refresh token",
  ),
  corsCredentials: variable(
    ["CORS_CREDENTIALS"],
    flag,
    "whether pages of those origins may send cookies; default false",
  ),
  bodyLimitBytes: variable(
    ["BODY_LIMIT"],
    integer(1024, 100_000_000),
    "the largest request body in bytes; default 1048576",
  ),
  s3Bucket: variable(
    ["S3_BUCKET_NAME"],
    text,
    "the bucket that files are in; default none: they are in a folder in DATA_DIR, which is for one machine",
  ),
  s3Region: variable(["S3_REGION"], text, "the bucket's region; default AWS_REGION"),
  s3Endpoint: variable(
    ["S3_ENDPOINT"],
    webUrl,
    "another S3 than Amazon's, such as https://minio.example.com; default AWS_ENDPOINT_URL",
  ),
  s3PathStyle: variable(
    ["S3_FORCE_PATH_STYLE"],
    flag,
    "whether the bucket is in the path of its addresses instead of the host; default true where an S3 other than Amazon's is given",
  ),
  cdnBaseUrl: variable(
    ["CDN_BASE_URL"],
    webUrl,
    "where downloads are fetched from instead of the storage: a CDN that passes on path and query and has the storage (or PUBLIC_URL, for the local folder) as its origin; default none",
  ),
  deletedTenantDays: variable(
    ["DELETED_TENANT_DAYS"],
    integer(0, 3650),
    "for how many days a deleted tenant's rows are kept; default 30",
  ),
  redisUrl: variable(
    ["REDIS_URL"],
    redisUrl,
    "a Redis 6 or later, or a Valkey, that several processes share; default none",
  ),
  redisTimeoutMs: variable(
    ["REDIS_TIMEOUT_MS"],
    integer(1, 10_000),
    "after how many milliseconds without a reply Redis counts as away; default 100",
  ),
  cacheMegabytes: variable(
    ["CACHE_MEMORY_MB"],
    integer(1, 100_000),
    "how many megabytes of the tenants' cache a process keeps where there is no Redis; default 64",
  ),
  jobsConcurrency: variable(
    ["JOBS_CONCURRENCY"],
    integer(0, 1000),
    "how many jobs this process runs at once; 0 where others do; default 10",
  ),
  rateLimitGlobal: variable(
    ["RATE_LIMIT_GLOBAL"],
    perMinute,
    "requests per minute in all, 0 for no limit; default 100000",
  ),
  rateLimitPlans: variable(
    ["RATE_LIMIT_PLANS"],
    plans,
    "requests per minute of a tenant by its plan, added to free=60,standard=1000,premium=10000",
  ),
  planQuotas: variable(
    ["PLAN_QUOTAS"],
    planQuotas(quotaNames),
    "what tenants may have by their plan, such as free.users=20,gold.storage_bytes=5000000000, 0 for no limit; wins over the defaults, which docs/usage.md lists",
  ),
  rateLimitAccount: variable(
    ["RATE_LIMIT_ACCOUNT"],
    perMinute,
    "requests per minute of an account outside tenants, 0 for no limit; default 1000",
  ),
  rateLimitAnonymous: variable(
    ["RATE_LIMIT_ANONYMOUS"],
    perMinute,
    "requests per minute of one client without credentials, 0 for no limit; default 100",
  ),
  rateLimitCredentials: variable(
    ["RATE_LIMIT_CREDENTIALS"],
    perMinute,
    "log-ins, registrations and the like per minute of one client, 0 for no limit; default 5",
  ),
  metricsToken: variable(
    ["METRICS_TOKEN"],
    atLeast(16),
    "whoever reads /metrics shows it: Authorization: Bearer …; default none: open, in production closed",
  ),
  otlpEndpoint: variable(
    ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    webUrl,
    "where traces are sent (OTLP over HTTP), such as http://localhost:4318; default nowhere",
  ),
  otlpHeaders: variable(
    ["OTEL_EXPORTER_OTLP_HEADERS"],
    pairs,
    "what is sent with them, name=value separated by commas, such as a collector's credentials",
  ),
  otelServiceName: variable(["OTEL_SERVICE_NAME"], text, "whose traces they are; default insulae"),
  otelRatio: variable(
    ["OTEL_TRACES_SAMPLER_ARG"],
    share,
    "of requests that come without a trace, how many begin one: 0 to 1; default 1",
  ),
} satisfies Record<string, Variable<unknown>>;

/** The parts of `DATABASE_URL`, where it is given in parts. */
const databaseParts = ["DB_HOST", "DB_PORT", "DB_USERNAME", "DB_PASSWORD", "DB_NAME"];

/** Whether a variable of this name says anything to Insulae. */
export const isSetting = (name: string): boolean =>
  databaseParts.includes(name) ||
  Object.values(variables).some(({ names }) => names.includes(name));

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

export type Values = {
  [K in keyof typeof variables]?: ReturnType<(typeof variables)[K]["parse"]>;
};

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
    baseUrl,
    appUrl: values.appUrl ?? overrides.baseUrl ?? baseUrl,
    ...channels(values, production, problems),
    fromEmail: values.fromEmail ?? "noreply@localhost.test",
    supportEmail: values.supportEmail,
    emailVerification: values.emailVerification ?? (production ? "required" : "optional"),
    baseDomain: values.baseDomain ?? "localhost",
    dataDir: values.dataDir ?? resolve(".insulae"),
    databaseUrl: values.databaseUrl,
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
    defaultTenant: values.defaultTenant ?? "demo_tenant",
    // On a terminal, requests are noise.
    logLevel: levelsOf(values.logLevel ?? "")[""] ?? (production ? "info" : "warn"),
    logLevels: levelsOf(values.logLevel ?? ""),
    logFile: values.logFile,
    wsPort: values.wsPort ?? (environment === "test" ? 0 : 9000),
    wsLogFormat: values.wsLogFormat ?? "text",
    wsLogBufferSize: values.wsLogBufferSize ?? 1_000,
    wsLogsAdminUsers: values.wsLogsAdminUsers ?? [],
    trustProxy: values.trustProxy ?? [],
    corsOrigins: values.corsOrigins ?? [],
    sessionIdleHours: values.sessionIdleHours ?? 24,
    corsCredentials: values.corsCredentials ?? false,
    bodyLimitBytes: values.bodyLimitBytes ?? 1_048_576,
    s3: s3Settings(values, problems),
    cdnBaseUrl: values.cdnBaseUrl,
    deletedTenantDays: values.deletedTenantDays ?? 30,
    redisUrl: values.redisUrl,
    redisTimeoutMs: values.redisTimeoutMs ?? 100,
    cacheMegabytes: values.cacheMegabytes ?? 64,
    jobsConcurrency: values.jobsConcurrency ?? 10,
    rateLimits: {
      global: values.rateLimitGlobal ?? 100_000,
      plans: { free: 60, standard: 1_000, premium: 10_000, ...values.rateLimitPlans },
      account: values.rateLimitAccount ?? 1_000,
      anonymous: values.rateLimitAnonymous ?? 100,
      credentials: values.rateLimitCredentials ?? 5,
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
    quotas: mergeQuotas(defaultQuotas, values.planQuotas ?? {}),
    ...overrides,
  };
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    problems.push("TLS_CERT_FILE and TLS_KEY_FILE belong together; set both or neither");
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

/** `DB_HOST`, `DB_PORT`, `DB_USERNAME` and `DB_PASSWORD` together stand for `DATABASE_URL`. */
function withDatabaseParts(
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Readonly<Record<string, string | undefined>> {
  const given = databaseParts.filter((name) => env[name]?.trim());
  if (given.length === 0) return env;
  const url = env.DATABASE_URL || env.MASTER_DATABASE_URL;
  if (url) {
    const differing = given.filter((name) => env[name]?.trim() !== partOf(url, name));
    if (differing.length > 0) {
      problems.push(`${differing.join(" and ")} differ from DATABASE_URL; set one or the other`);
    }
    return env;
  }
  if (!env.DB_HOST) {
    problems.push(`${given.join(" and ")} need DB_HOST, or a DATABASE_URL instead`);
    return env;
  }
  const user = encodeURIComponent(env.DB_USERNAME ?? "postgres");
  const password = encodeURIComponent(env.DB_PASSWORD ?? "");
  return {
    ...env,
    DATABASE_URL: `postgresql://${user}:${password}@${env.DB_HOST}:${env.DB_PORT ?? "5432"}/${env.DB_NAME ?? "insulae"}`,
  };
}

/** What the URL says where a part would say it; a text that is no URL says nothing. */
function partOf(text: string, name: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const parts: Readonly<Record<string, string>> = {
    DB_HOST: url.hostname,
    DB_PORT: url.port || "5432",
    DB_USERNAME: decodeURIComponent(url.username),
    DB_PASSWORD: decodeURIComponent(url.password),
    DB_NAME: decodeURIComponent(url.pathname.slice(1)),
  };
  return parts[name];
}

const mergeQuotas = (
  usual: Readonly<Record<string, Quotas>>,
  own: Readonly<Record<string, Quotas>>,
): Readonly<Record<string, Quotas>> =>
  Object.fromEntries(
    Object.keys({ ...usual, ...own }).map((plan) => [plan, { ...usual[plan], ...own[plan] }]),
  );

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
  if (config.baseDomain === "localhost")
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
