/**
 * `insulae doctor --production`: whether this configuration, and what it names, is fit for strangers.
 * What is looked at is what checklists for going live ask; what no program can see is listed for
 * people. It only asks: the database, Redis, and the server's own public address.
 */
import { BlockList, isIP } from "node:net";
import type { Config } from "../config/config.ts";
import { type Check, failure, ok, warning } from "./check.ts";

/** What people have to see to themselves, and where it is written how. */
export const forPeople: readonly string[] = [
  "backups are restored somewhere else, regularly, and by the runbook (docs/runbooks/restore.md)",
  "alerts reach somebody: deploy/prometheus/rules.yml is loaded, and one was set off as a trial",
  "the log is collected and kept where it can be searched, outside these machines",
  "every change passes the tests, the checks and the advisories before it runs here (.ci/run)",
  "somebody else has read the change, and the security of the whole was looked at",
  "the load that is expected was tried, on machines like these (npm run bench)",
  "whoever is on call knows the runbooks (docs/runbooks)",
];

const hour = 3600;

/** All that the settings alone say. */
export function checkSettings(config: Config): readonly Check[] {
  return [
    ...checkSecrets(config),
    checkPublicUrl(config),
    checkCors(config),
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

/** Chosen by people, or copied from an example. */
const guessable = /secret|password|change.?me|example|insulae|placeholder|your[-_ ]|1234|qwerty/i;

function checkSecrets({ masterSecret, jwtSecret, metricsToken }: Config): readonly Check[] {
  const name = "secrets";
  const remedy =
    "make one anew, such as with openssl rand -hex 32, and keep it where secrets are kept";
  const given = { MASTER_SECRET: masterSecret, JWT_SECRET: jwtSecret, METRICS_TOKEN: metricsToken };
  const weak = Object.entries(given).flatMap(([variable, value]) =>
    value !== undefined && (guessable.test(value) || new Set(value).size < 10) ? [variable] : [],
  );
  if (weak.length > 0) return [failure(name, `${weak.join(", ")} can be guessed`, remedy)];
  const values = Object.values(given).filter((value) => value !== undefined);
  if (new Set(values).size < values.length) {
    return [failure(name, "one value is used for two of the secrets", remedy)];
  }
  return [ok(name, "those that are set look random")];
}

function checkPublicUrl({ baseUrl, tlsPort, trustProxy }: Config): Check {
  const name = "TLS for clients";
  if (!baseUrl.startsWith("https://")) {
    const remedy =
      "set PUBLIC_URL to https://…, and end TLS at a proxy or at TLS_PORT (docs/tls.md)";
    return failure(name, `PUBLIC_URL is ${baseUrl}`, remedy);
  }
  if (tlsPort === undefined && trustProxy.length === 0) {
    return warning(
      name,
      "neither TLS_PORT nor TRUST_PROXY is set: nobody here ends TLS, and clients' addresses are the proxy's",
      "set TRUST_PROXY to your proxy's address (docs/proxy.md), or TLS_PORT (docs/tls.md)",
    );
  }
  return ok(name, tlsPort === undefined ? "ended at the proxy in TRUST_PROXY" : `on ${tlsPort}`);
}

function checkCors({ corsOrigins, corsCredentials }: Config): Check {
  const name = "CORS";
  const doubtful = corsOrigins.filter(
    (origin) => !origin.startsWith("https://") || /localhost|127\.0\.0\.1/.test(origin),
  );
  if (doubtful.length > 0) {
    const remedy = "name the front ends' own https origins in CORS_ORIGINS, and no others";
    return failure(name, `CORS_ORIGINS lets in ${doubtful.join(", ")}`, remedy);
  }
  if (corsOrigins.length === 0) return ok(name, "no origin but the tenants' own");
  const cookies = corsCredentials ? ", with cookies" : "";
  return ok(name, `${corsOrigins.join(", ")}${cookies}`);
}

/** Whoever is in one of these networks may say that they are anybody. */
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
  return failure(name, `${anybody.join(", ")} holds addresses of strangers`, remedy);
}

function checkLimits({ rateLimits, redisUrl }: Config): Check {
  const name = "rate limits";
  const { global, account, anonymous, credentials, plans } = rateLimits;
  const all = { global, account, anonymous, credentials, ...plans };
  const off = Object.entries(all).flatMap(([limit, rate]) => (rate === 0 ? [limit] : []));
  if (off.length > 0) {
    return warning(
      name,
      `there is none for ${off.join(", ")}`,
      "set RATE_LIMIT_… (docs/limits.md)",
    );
  }
  if (redisUrl === undefined) {
    return warning(
      name,
      "every process counts for itself, as there is no Redis",
      "set REDIS_URL where more than one process runs",
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
    return [failure(name, "goes out in the clear", "take tls=none out of SMTP_URL")];
  }
  if (emailVerification === "optional") {
    const remedy = "set EMAIL_VERIFICATION=required";
    return [warning(name, "addresses need not be verified before the first log-in", remedy)];
  }
  return [ok(name, `by ${mail}, from ${fromEmail}`)];
}

const checkFiles = ({ s3, dataDir }: Config): Check =>
  s3 === undefined
    ? warning(
        "files",
        `are in ${dataDir}, on this machine alone`,
        "set S3_BUCKET_NAME (docs/files.md); or run one process, and copy the folder with the database",
      )
    : ok("files", `in the bucket ${s3.bucket}`);

/** Another S3 than Amazon's knows nothing but keys. */
function checkCloudKeys({ aws, s3 }: Config): Check {
  const name = "keys of AWS";
  if (aws.credentials === undefined || s3?.endpoint || aws.endpoint)
    return ok(name, "none that last");
  const remedy = "give the machine or the pod a role (docs/aws.md), and unset AWS_ACCESS_KEY_ID";
  return warning(name, "AWS_ACCESS_KEY_ID is in the environment, and never ends", remedy);
}

const checkMonitoring = ({ metricsToken }: Config): Check =>
  metricsToken === undefined
    ? warning("metrics", "nobody can read /metrics", "set METRICS_TOKEN, and give it to Prometheus")
    : ok("metrics", "for whoever shows METRICS_TOKEN");

function checkLog({ logLevel }: Config): Check {
  if (["trace", "debug"].includes(logLevel)) {
    return warning(
      "log",
      `LOG_LEVEL is ${logLevel}`,
      "set LOG_LEVEL=info; the rest is for a search",
    );
  }
  if (["error", "fatal", "silent"].includes(logLevel)) {
    return warning(
      "log",
      `LOG_LEVEL is ${logLevel}: requests are not logged`,
      "set LOG_LEVEL=info",
    );
  }
  return ok("log", `${logLevel}, a JSON document a line on stdout`);
}

function checkTokens({ accessTokenSeconds }: Config): Check {
  const message = `access tokens are good for ${accessTokenSeconds} s`;
  if (accessTokenSeconds <= 24 * hour) return ok("tokens", message);
  const remedy = "set JWT_EXPIRATION to an hour or less; refresh tokens keep people signed in";
  return warning("tokens", message, remedy);
}

function checkStart({ migrateOnStart, adminPassword }: Config): Check {
  if (migrateOnStart) {
    const remedy = "unset MIGRATE_ON_START, and run insulae migrate up once for each version";
    return warning("start", "every process migrates when it starts", remedy);
  }
  if (adminPassword !== undefined) {
    const remedy = "unset it once the first administrator has logged in, and change that password";
    return warning("start", "ADMIN_PASSWORD is in the environment", remedy);
  }
  return ok("start", "migrations run on their own; no password lies about");
}

const checkUser = (): Check =>
  process.geteuid?.() === 0
    ? warning("user", "this is root", "run the server as a user of its own")
    : ok("user", `this is user ${process.geteuid?.() ?? "?"}, not root`);

/** Whether the balancer's question gets through to a server that is fit, from outside. */
export async function checkHealth({ baseUrl }: Config): Promise<Check> {
  const name = "health";
  const url = `${baseUrl}/health/ready`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000), redirect: "error" });
    const text = (await answer.text()).slice(0, 300);
    if (answer.ok && text.includes('"ready"')) return ok(name, `${url} says ready`);
    return warning(name, `${url} answers ${answer.status}: ${text}`, "see the server's log");
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    return warning(
      name,
      `${url} can't be reached from here: ${why}`,
      "start the server; see the proxy",
    );
  }
}
