/**
 * Every variable of the environment, with its other names; the reference in `docs/` is made from it.
 * Those of the ways out are in `config.channels.ts`, beside what they come to.
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
    "a second port, on which the server ends TLS itself; default none",
  ),
  tlsCertFile: variable(
    ["TLS_CERT_FILE"],
    (value) => resolve(value),
    "a PEM file with the certificate (and its chain) for hosts that have none of their own; read again when it changes",
  ),
  tlsKeyFile: variable(["TLS_KEY_FILE"], (value) => resolve(value), "its private key"),
  drainSeconds: variable(
    ["DRAIN_SECONDS"],
    integer(0, 300),
    "for how many seconds after SIGTERM the server is not ready (/health/ready says 503) and still serves, so that balancers notice; default 0, in production 5",
  ),
  apiVersion: variable(
    ["API_VERSION"],
    oneOf("v1"),
    "the version of the API, which is in its paths: v1, the only one that there is",
  ),
  baseUrl: variable(
    ["PUBLIC_URL"],
    webUrl,
    "where clients reach this server; required in production. In development its host is one of those that the server answers for, beside localhost, BASE_DOMAIN, that of APP_URL, registered hosts and IP addresses",
  ),
  appUrl: variable(
    ["APP_URL"],
    webUrl,
    "where the front end's pages are, to which links in mails lead; default PUBLIC_URL",
  ),
  ...channelVariables,
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
  databaseDirectUrl: variable(
    ["DATABASE_DIRECT_URL"],
    databaseUrl,
    "the administrator's URL of PostgreSQL itself, where DATABASE_URL leads to a connection pooler (docs/poolers.md): for LISTEN, migrations, and whatever else needs a session of its own",
  ),
  databaseConnections: variable(
    ["DB_CONNECTIONS"],
    integer(6, 10_000),
    "how many connections this process, or its workers together, may have in all; default 40",
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
    tenantKey,
    "the key of the tenant that dialects which know no core accounts mean by a request that names none; default demo_tenant, in production none. In production only platform administrators and the CLI may make the tenant with this key",
  ),
  tenantsPerAccount: variable(
    ["TENANTS_PER_ACCOUNT"],
    integer(0, 1_000_000),
    "how many tenants an account may own, 0 for no limit; platform administrators may own any number. Default 1000, in production 5",
  ),
  planIsolations: variable(
    ["PLAN_ISOLATIONS"],
    planIsolations(isolations),
    "the farthest isolation (pool, schema or database) that an account may choose for a tenant of each plan; platform administrators may choose any. Added to free=database, in production to free=pool,premium=database; a plan that is not named is as free",
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
    "addresses or networks of proxies whose X-Forwarded headers are believed: every host in them can claim to be any client. Default none",
  ),
  trustClientCert: variable(
    ["TRUST_CLIENT_CERT"],
    flag,
    "true where the proxies in TRUST_PROXY verify clients' certificates, set the header Client-Cert (RFC 9440) to them, and take a client's own away (docs/tls.md); otherwise that header is ignored. Default false",
  ),
  corsOrigins: variable(
    ["CORS_ORIGINS", "CORS_ALLOWED_ORIGINS"],
    origins,
    "origins whose pages may use the API, such as https://app.example.com, separated by commas; default none, in development those of localhost, 127.0.0.1 and [::1] on any port. There is no wildcard",
  ),
  sessionIdleHours: variable(
    ["SESSION_IDLE_HOURS"],
    integer(1, 24 * 365),
    "after how many hours without use a browser's session ends; default 24. It never lasts longer than a refresh token",
  ),
  corsCredentials: variable(
    ["CORS_CREDENTIALS"],
    flag,
    "whether pages of those origins may send cookies; default false, in development true where CORS_ORIGINS is not set",
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
    "how many megabytes of the tenants' cache this process, or its workers together, keep where there is no Redis; default 64",
  ),
  cachedTenants: variable(
    ["CACHED_TENANTS"],
    integer(100, 10_000_000),
    "of how many tenants a process remembers what it knows of them, and of as many users and tokens: about 4 KB for each that is in use; others are asked of PostgreSQL at each request; default 50000",
  ),
  jobsConcurrency: variable(
    ["JOBS_CONCURRENCY"],
    integer(0, 1000),
    "how many jobs this process, or its workers together, run at once; 0 where others do; default 10",
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
    "log-ins, registrations and the like per minute of one client, 0 for no limit; default 5, in development 100",
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

export type Values = ValuesOf<typeof variables>;
