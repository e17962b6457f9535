/**
 * All environment variables with their aliases; the reference in `docs/` is generated from this
 * table. `channels.ts` has those for sending messages.
 */
import { resolve } from "node:path";
import { channelVariables } from "./channels.ts";
import { isolations } from "./isolations.ts";
import {
  atLeast,
  databaseUrl,
  emailAddress,
  flag,
  integer,
  list,
  logFilter,
  oneOf,
  origins,
  pairs,
  perMinute,
  planIsolations,
  planQuotas,
  plans,
  redisUrl,
  share,
  tenantKey,
  text,
  type ValuesOf,
  type Variable,
  variable,
  webUrl,
} from "./parsers.ts";
import { quotaNames } from "./quotas.ts";

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
    "a second port, on which the server terminates TLS itself; default none",
  ),
  tlsCertFile: variable(
    ["TLS_CERT_FILE"],
    (value) => resolve(value),
    "a PEM file with the certificate (and its chain) for hosts without one of their own; reloaded when it changes",
  ),
  tlsKeyFile: variable(["TLS_KEY_FILE"], (value) => resolve(value), "its private key"),
  drainSeconds: variable(
    ["DRAIN_SECONDS"],
    integer(0, 300),
    "how many seconds after SIGTERM the server still serves but reports not ready (/health/ready: 503), so that load balancers notice; default 0, in production 5",
  ),
  apiVersion: variable(
    ["API_VERSION"],
    oneOf("v1"),
    "the version of the API in its paths; v1 is the only one",
  ),
  baseUrl: variable(
    ["PUBLIC_URL"],
    webUrl,
    "the URL at which clients reach this server; required in production. In development the server accepts requests for its host, besides localhost, BASE_DOMAIN, the host of APP_URL, registered hosts and IP addresses",
  ),
  appUrl: variable(
    ["APP_URL"],
    webUrl,
    "the URL of the front end, to which links in e-mails lead; default the console, PUBLIC_URL/console; with CONSOLE=off PUBLIC_URL, where no pages are",
  ),
  console: variable(
    ["CONSOLE"],
    oneOf("on", "platform", "tenants", "off"),
    "where the web console answers, at /console: on (at every host), platform (at the platform's hosts only), tenants (also at tenants' hosts), off. Default on, in production platform",
  ),
  ...channelVariables,
  fromEmail: variable(
    ["FROM_EMAIL"],
    emailAddress,
    "the sender of e-mails; required with a mail server in production; default noreply@localhost.test",
  ),
  supportEmail: variable(
    ["SUPPORT_EMAIL"],
    emailAddress,
    "the support address at the end of e-mails",
  ),
  emailVerification: variable(
    ["EMAIL_VERIFICATION"],
    oneOf("required", "optional"),
    "whether users must verify their e-mail before they can log in; a tenant's setting email_verification wins for its users. Default optional, in production required",
  ),
  baseDomain: variable(
    ["BASE_DOMAIN"],
    (value) => value.toLowerCase(),
    "the domain whose subdomains are tenants' hosts; default localhost",
  ),
  dataDir: variable(
    ["DATA_DIR"],
    (value) => resolve(value),
    "the folder for all data; default .insulae",
  ),
  databaseUrl: variable(
    ["DATABASE_URL", "MASTER_DATABASE_URL"],
    databaseUrl,
    "an administrator's URL of a PostgreSQL 15 or later; default: an embedded PostgreSQL 18",
  ),
  databaseDirectUrl: variable(
    ["DATABASE_DIRECT_URL"],
    databaseUrl,
    "the administrator's URL of PostgreSQL itself, if DATABASE_URL leads to a connection pooler (docs/poolers.md): for LISTEN, migrations and everything else that needs a session",
  ),
  databaseConnections: variable(
    ["DB_CONNECTIONS"],
    integer(6, 10_000),
    "the maximum number of connections of this process, or of its workers together; default 40",
  ),
  statementTimeoutMs: variable(
    ["DB_STATEMENT_TIMEOUT_MS"],
    integer(10, 3_600_000),
    "the timeout of a statement in milliseconds; default 10000",
  ),
  lockTimeoutMs: variable(
    ["DB_LOCK_TIMEOUT_MS"],
    integer(10, 3_600_000),
    "how long a statement or migration waits for a lock, in milliseconds; default 5000",
  ),
  migrateOnStart: variable(
    ["MIGRATE_ON_START"],
    flag,
    "whether pending migrations run at start; default true, in production false",
  ),
  masterSecret: variable(
    ["MASTER_SECRET"],
    atLeast(32),
    "the secret from which keys and database passwords are derived; required in production, otherwise generated and stored in DATA_DIR",
  ),
  jwtSecret: variable(
    ["JWT_SECRET", "SECRET_KEY"],
    atLeast(32),
    "the secret for signing tokens with HS256; default: EdDSA with keys in the control plane",
  ),
  algorithm: variable(
    ["ALGORITHM"],
    oneOf("hs256", "eddsa"),
    "the signature algorithm of tokens: HS256 if JWT_SECRET is set, otherwise EdDSA. The value is only checked against that",
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
    "how many days a refresh token, and an unused session, is valid; default 30",
  ),
  passwordAlgorithm: variable(
    ["PASSWORD_ALGORITHM"],
    oneOf("argon2id", "bcrypt"),
    "the algorithm for hashing new passwords. Existing hashes of both kinds stay valid and are renewed at the next log-in if algorithm or cost differ. bcrypt uses at most 72 bytes. Default argon2id",
  ),
  bcryptCost: variable(
    ["BCRYPT_COST"],
    integer(10, 16),
    "bcrypt's cost; each step doubles the work. Default 12",
  ),
  adminEmail: variable(
    ["ADMIN_EMAIL"],
    text,
    "the first platform administrator's e-mail; in development admin@localhost.test",
  ),
  adminPassword: variable(
    ["ADMIN_PASSWORD"],
    atLeast(8),
    "and their password; in development generated and printed once",
  ),
  defaultTenant: variable(
    ["DEFAULT_TENANT"],
    tenantKey,
    "the key of the tenant for requests that name none, in dialects without platform accounts; default demo_tenant, in production none. In production only platform administrators and the CLI may create the tenant with this key",
  ),
  tenantsPerAccount: variable(
    ["TENANTS_PER_ACCOUNT"],
    integer(0, 1_000_000),
    "the maximum number of tenants per account, 0 for no limit; platform administrators are exempt. Default 1000, in production 5",
  ),
  planIsolations: variable(
    ["PLAN_ISOLATIONS"],
    planIsolations(isolations),
    "the farthest isolation (pool, schema or database) that an account may choose for a tenant of each plan; platform administrators may choose any. Added to free=database, in production to free=pool,premium=database; a plan that is not listed is treated like free",
  ),
  logLevel: variable(
    ["LOG_LEVEL", "RUST_LOG"],
    logFilter,
    "trace, debug, info, warn, error, fatal or silent; default warn, in production info. Parts of the server can have their own: info,http=warn,database=debug (see docs/logs.md)",
  ),
  logFile: variable(
    ["LOG_FILE"],
    (value) => resolve(value),
    "a file that also receives the log; reopened on SIGHUP; default none",
  ),
  wsPort: variable(
    ["APP_WS_PORT"],
    integer(0, 65_535),
    "a separate port for the log stream only, at /logs; 0 for none; default 9000. Restrict access to people who watch logs",
  ),
  wsLogFormat: variable(
    ["WS_LOG_FORMAT"],
    oneOf("text", "json"),
    "the line format of the log stream; default text",
  ),
  wsLogBufferSize: variable(
    ["WS_LOG_BUFFER_SIZE"],
    integer(0, 100_000),
    "how many lines are buffered for a slow viewer of the log stream before the oldest are dropped; 0 means 1; default 1000",
  ),
  wsLogsAdminUsers: variable(
    ["WS_LOGS_ADMIN_USER"],
    list,
    "ids or e-mails, separated by commas: only these users may watch logs, if they have the permission; default all with the permission",
  ),
  trustProxy: variable(
    ["TRUST_PROXY"],
    list,
    "addresses or networks of proxies whose X-Forwarded headers are trusted: every host in them can claim any client address. Default none",
  ),
  trustClientCert: variable(
    ["TRUST_CLIENT_CERT"],
    flag,
    "set it to true if the proxies in TRUST_PROXY verify client certificates, set the header Client-Cert (RFC 9440) and remove the one that a client sends (docs/tls.md); otherwise the header is ignored. Default false",
  ),
  corsOrigins: variable(
    ["CORS_ORIGINS", "CORS_ALLOWED_ORIGINS"],
    origins,
    "origins whose pages may use the API, such as https://app.example.com, separated by commas; default none, in development those of localhost, 127.0.0.1 and [::1] on any port. Wildcards are not supported",
  ),
  sessionIdleHours: variable(
    ["SESSION_IDLE_HOURS"],
    integer(1, 24 * 365),
    "after how many hours without use a browser session expires; default 24. It never outlives a refresh token",
  ),
  corsCredentials: variable(
    ["CORS_CREDENTIALS"],
    flag,
    "whether pages of those origins may send cookies; default false, in development true if CORS_ORIGINS is not set",
  ),
  bodyLimitBytes: variable(
    ["BODY_LIMIT"],
    integer(1024, 100_000_000),
    "the maximum size of a request body in bytes; default 1048576",
  ),
  s3Bucket: variable(
    ["S3_BUCKET_NAME"],
    text,
    "the bucket for files; default none: files are in a folder in DATA_DIR, which works on a single machine only",
  ),
  s3Region: variable(["S3_REGION"], text, "the bucket's region; default AWS_REGION"),
  s3Endpoint: variable(
    ["S3_ENDPOINT"],
    webUrl,
    "the endpoint of an S3-compatible service, such as https://minio.example.com; default AWS_ENDPOINT_URL",
  ),
  s3PathStyle: variable(
    ["S3_FORCE_PATH_STYLE"],
    flag,
    "whether URLs have the bucket in the path instead of the host; default true if S3_ENDPOINT is set",
  ),
  cdnBaseUrl: variable(
    ["CDN_BASE_URL"],
    webUrl,
    "the URL of a CDN for downloads. It must forward path and query, and its origin must be the storage (or PUBLIC_URL, for the local folder); default none",
  ),
  deletedTenantDays: variable(
    ["DELETED_TENANT_DAYS"],
    integer(0, 3650),
    "how many days a deleted tenant's rows are kept; default 30",
  ),
  redisUrl: variable(
    ["REDIS_URL"],
    redisUrl,
    "the URL of a Redis 6 or later, or a Valkey, shared by all processes; default none",
  ),
  redisTimeoutMs: variable(
    ["REDIS_TIMEOUT_MS"],
    integer(1, 10_000),
    "after how many milliseconds without a reply Redis counts as unavailable; default 100",
  ),
  cacheMegabytes: variable(
    ["CACHE_MEMORY_MB"],
    integer(1, 100_000),
    "the size in megabytes of the tenants' cache in this process, or in its workers together, if there is no Redis; default 64",
  ),
  cachedTenants: variable(
    ["CACHED_TENANTS"],
    integer(100, 10_000_000),
    "how many tenants, and as many users and tokens, a process caches: about 4 KB for each in use. Others cost queries on each request; default 50000",
  ),
  jobsConcurrency: variable(
    ["JOBS_CONCURRENCY"],
    integer(0, 1000),
    "how many jobs this process, or its workers together, run in parallel; 0 if other nodes do; default 10",
  ),
  rateLimitGlobal: variable(
    ["RATE_LIMIT_GLOBAL"],
    perMinute,
    "requests per minute of the whole installation, 0 for no limit; default 100000",
  ),
  rateLimitPlans: variable(
    ["RATE_LIMIT_PLANS"],
    plans,
    "requests per minute of a tenant by its plan, added to free=60,standard=1000,premium=10000",
  ),
  planQuotas: variable(
    ["PLAN_QUOTAS"],
    planQuotas(quotaNames),
    "tenants' quotas by plan, such as free.users=20,gold.storage_bytes=5000000000, 0 for no limit; overrides the defaults listed in docs/usage.md",
  ),
  rateLimitAccount: variable(
    ["RATE_LIMIT_ACCOUNT"],
    perMinute,
    "requests per minute of an account outside tenants, 0 for no limit; default 1000",
  ),
  rateLimitAnonymous: variable(
    ["RATE_LIMIT_ANONYMOUS"],
    perMinute,
    "requests per minute of one client without valid credentials, 0 for no limit; default 100",
  ),
  rateLimitCredentials: variable(
    ["RATE_LIMIT_CREDENTIALS"],
    perMinute,
    "log-ins, registrations and the like per minute of one client, 0 for no limit; default 5, in development 100",
  ),
  metricsToken: variable(
    ["METRICS_TOKEN"],
    atLeast(16),
    "the bearer token for reading /metrics (Authorization: Bearer …); default none: open, in production closed",
  ),
  otlpEndpoint: variable(
    ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    webUrl,
    "the URL that traces are sent to (OTLP over HTTP), such as http://localhost:4318; default none",
  ),
  otlpHeaders: variable(
    ["OTEL_EXPORTER_OTLP_HEADERS"],
    pairs,
    "headers to send with traces, name=value separated by commas, such as a collector's credentials",
  ),
  otelServiceName: variable(
    ["OTEL_SERVICE_NAME"],
    text,
    "the service name reported with traces; default insulae",
  ),
  otelRatio: variable(
    ["OTEL_TRACES_SAMPLER_ARG"],
    share,
    "the share of requests without an incoming trace that start one, 0 to 1; default 1",
  ),
} satisfies Record<string, Variable<unknown>>;

export type Values = ValuesOf<typeof variables>;
