/**
 * `insulae doctor --production`: whether this configuration and its services are fit for
 * production. It checks what go-live checklists ask for, and lists what no program can check. It
 * only reads: the database, Redis, and the server's own public address.
 */
import { BlockList, isIP } from "node:net";
import type { Config } from "../config/config.ts";
import { type Check, failure, ok, warning } from "../doctor/check.ts";

/** What people have to verify themselves, and where it is documented. */
export const forPeople: readonly string[] = [
  "backups are regularly restored to another place by the runbook (docs/runbooks/restore.md)",
  "alerts reach somebody: deploy/prometheus/rules.yml is loaded and a test alert was received",
  "the log is collected outside these machines, where it can be searched",
  "every change passes the tests, checks and advisories before it is deployed (.ci/run)",
  "every change is reviewed by somebody else, and the security of the whole has been reviewed",
  "the expected load has been tested on machines like these (npm run bench)",
  "everybody on call knows the runbooks (docs/runbooks)",
];

const hour = 3600;

/** The checks that need only the settings. */
export function checkSettings(config: Config): readonly Check[] {
  return [
    ...checkSecrets(config),
    checkPublicUrl(config),
    checkCors(config),
    checkConsole(config),
    checkProxy(config),
    checkLimits(config),
    ...checkMail(config),
    checkFiles(config),
    checkCloudKeys(config),
    checkMonitoring(config),
    checkLog(config),
    checkTokens(config),
    checkStart(config),
    checkUser(),
  ];
}

/** Words in secrets chosen by people or copied from an example. */
const guessable = /secret|password|change.?me|example|insulae|placeholder|your[-_ ]|1234|qwerty/i;

function checkSecrets({ masterSecret, jwtSecret, metricsToken }: Config): readonly Check[] {
  const name = "secrets";
  const remedy =
    "generate a new one, for example with openssl rand -hex 32, and keep it in your secret store";
  const given = { MASTER_SECRET: masterSecret, JWT_SECRET: jwtSecret, METRICS_TOKEN: metricsToken };
  const weak = Object.entries(given).flatMap(([variable, value]) =>
    value !== undefined && (guessable.test(value) || new Set(value).size < 10) ? [variable] : [],
  );
  if (weak.length > 0) return [failure(name, `${weak.join(", ")} is guessable`, remedy)];
  const values = Object.values(given).filter((value) => value !== undefined);
  if (new Set(values).size < values.length) {
    return [failure(name, "two of the secrets have the same value", remedy)];
  }
  return [ok(name, "all that are set look random")];
}

function checkPublicUrl({ baseUrl, tlsPort, trustProxy }: Config): Check {
  const name = "TLS for clients";
  if (!baseUrl.startsWith("https://")) {
    const remedy =
      "set PUBLIC_URL to https://…, and terminate TLS at a proxy or at TLS_PORT (docs/tls.md)";
    return failure(name, `PUBLIC_URL is ${baseUrl}`, remedy);
  }
  if (tlsPort === undefined && trustProxy.length === 0) {
    return warning(
      name,
      "neither TLS_PORT nor TRUST_PROXY is set: TLS is not terminated here, and behind a proxy every client has the proxy's address",
      "set TRUST_PROXY to your proxy's address (docs/proxy.md), or TLS_PORT (docs/tls.md)",
    );
  }
  return ok(
    name,
    tlsPort === undefined ? "terminated at the proxy in TRUST_PROXY" : `on ${tlsPort}`,
  );
}

function checkCors({ corsOrigins, corsCredentials }: Config): Check {
  const name = "CORS";
  const doubtful = corsOrigins.filter(
    (origin) => !origin.startsWith("https://") || /localhost|127\.0\.0\.1/.test(origin),
  );
  if (doubtful.length > 0) {
    const remedy = "list only the https origins of your front ends in CORS_ORIGINS";
    return failure(name, `CORS_ORIGINS allows ${doubtful.join(", ")}`, remedy);
  }
  if (corsOrigins.length === 0) return ok(name, "no origins except the tenants' own");
  const cookies = corsCredentials ? ", with cookies" : "";
  return ok(name, `${corsOrigins.join(", ")}${cookies}`);
}

/** Any client in a trusted network can claim any address. */
function checkProxy({ trustProxy }: Config): Check {
  const name = "trusted proxies";
  const anybody = trustProxy.filter((entry) => {
    const [address = "", bits] = entry.split("/");
    if (bits === undefined || isIP(address) === 0) return false;
    const network = new BlockList();
    network.addSubnet(address, Number(bits), isIP(address) === 4 ? "ipv4" : "ipv6");
    return network.check("8.8.8.8") || network.check("2001:4860:4860::8888", "ipv6");
  });
  if (anybody.length === 0) return ok(name, trustProxy.join(", ") || "none");
  const remedy = "set TRUST_PROXY to the addresses of your own proxies (docs/proxy.md)";
  return failure(name, `${anybody.join(", ")} includes addresses outside your network`, remedy);
}

function checkConsole({ console, appUrl, baseUrl }: Config): Check {
  const name = "console";
  if (console === "on") {
    const remedy =
      "set CONSOLE=platform, or CONSOLE=tenants if tenants are to use it (docs/console.md)";
    return warning(name, "CONSOLE is on: it answers at every host, tenants' too", remedy);
  }
  if (console === "off" && appUrl === baseUrl) {
    const remedy = "set APP_URL to your front end, or CONSOLE=platform";
    return failure(name, `is off, and mails link to ${appUrl}, where no pages are`, remedy);
  }
  const places = {
    off: "is off",
    platform: "at the platform's hosts only",
    tenants: "also at tenants' hosts",
  };
  return ok(name, places[console]);
}

function checkLimits({ rateLimits, redisUrl }: Config): Check {
  const name = "rate limits";
  const { global, account, anonymous, credentials, plans } = rateLimits;
  const all = { global, account, anonymous, credentials, ...plans };
  const off = Object.entries(all).flatMap(([limit, rate]) => (rate === 0 ? [limit] : []));
  if (off.length > 0) {
    return warning(name, `no limit for ${off.join(", ")}`, "set RATE_LIMIT_… (docs/limits.md)");
  }
  if (redisUrl === undefined) {
    return warning(
      name,
      "without Redis, every process counts on its own",
      "set REDIS_URL if more than one process runs",
    );
  }
  return ok(
    name,
    `${anonymous} and ${credentials} (log-ins) per minute and client, by plan for tenants`,
  );
}

function checkMail({ mail, smtp, fromEmail, emailVerification }: Config): readonly Check[] {
  const name = "mail";
  if (mail === "capture") {
    return [warning(name, "is captured, not sent", "set SMTP_URL, or MAIL=ses (docs/mail.md)")];
  }
  if (mail === "smtp" && smtp?.tls === "none") {
    return [failure(name, "is sent unencrypted", "remove tls=none from SMTP_URL")];
  }
  if (emailVerification === "optional") {
    const remedy = "set EMAIL_VERIFICATION=required";
    return [warning(name, "users can log in without verifying their address", remedy)];
  }
  return [ok(name, `by ${mail}, from ${fromEmail}`)];
}

const checkFiles = ({ s3, dataDir }: Config): Check =>
  s3 === undefined
    ? warning(
        "files",
        `are in ${dataDir}, on this machine only`,
        "set S3_BUCKET_NAME (docs/files.md), or run a single process and back up the folder with the database",
      )
    : ok("files", `in the bucket ${s3.bucket}`);

/** S3 services other than Amazon's support only keys. */
function checkCloudKeys({ aws, s3 }: Config): Check {
  const name = "AWS keys";
  if (aws.credentials === undefined || s3?.endpoint || aws.endpoint)
    return ok(name, "no long-lived keys");
  const remedy = "give the machine or pod a role (docs/aws.md) and unset AWS_ACCESS_KEY_ID";
  return warning(name, "AWS_ACCESS_KEY_ID is set; such a key never expires", remedy);
}

const checkMonitoring = ({ metricsToken }: Config): Check =>
  metricsToken === undefined
    ? warning("metrics", "nobody can read /metrics", "set METRICS_TOKEN and give it to Prometheus")
    : ok("metrics", "readable with METRICS_TOKEN");

function checkLog({ logLevel }: Config): Check {
  if (["trace", "debug"].includes(logLevel)) {
    return warning(
      "log",
      `LOG_LEVEL is ${logLevel}`,
      "set LOG_LEVEL=info; lower levels are for debugging",
    );
  }
  if (["error", "fatal", "silent"].includes(logLevel)) {
    return warning(
      "log",
      `LOG_LEVEL is ${logLevel}: requests are not logged`,
      "set LOG_LEVEL=info",
    );
  }
  return ok("log", `${logLevel}, one JSON document per line on stdout`);
}

function checkTokens({ accessTokenSeconds }: Config): Check {
  const message = `access tokens are valid for ${accessTokenSeconds} s`;
  if (accessTokenSeconds <= 24 * hour) return ok("tokens", message);
  const remedy = "set JWT_EXPIRATION to an hour or less; refresh tokens keep users signed in";
  return warning("tokens", message, remedy);
}

function checkStart({ migrateOnStart, adminPassword }: Config): Check {
  if (migrateOnStart) {
    const remedy = "unset MIGRATE_ON_START and run insulae migrate up once per version";
    return warning("start", "every process runs migrations when it starts", remedy);
  }
  if (adminPassword !== undefined) {
    const remedy = "unset it once the first administrator has logged in and changed the password";
    return warning("start", "ADMIN_PASSWORD is in the environment", remedy);
  }
  return ok("start", "migrations run separately; no password in the environment");
}

const checkUser = (): Check =>
  process.geteuid?.() === 0
    ? warning("user", "the current user is root", "run the server as a dedicated user")
    : ok("user", `the current user is ${process.geteuid?.() ?? "?"}, not root`);

/** Whether the health check succeeds from outside, through the proxy. */
export async function checkHealth({ baseUrl }: Config): Promise<Check> {
  const name = "health";
  const url = `${baseUrl}/health/ready`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000), redirect: "error" });
    const text = (await answer.text()).slice(0, 300);
    if (answer.ok && text.includes('"ready"')) return ok(name, `${url} says ready`);
    return warning(name, `${url} responds ${answer.status}: ${text}`, "see the server's log");
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    return warning(
      name,
      `${url} can't be reached from here: ${why}`,
      "start the server, or check the proxy",
    );
  }
}
