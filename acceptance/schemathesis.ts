/**
 * Runs Schemathesis on both OpenAPI documents, against a server started as users do: without
 * credentials, and with tokens of a viewer, an owner and a platform administrator.
 * schemathesis.toml lists exclusions and reasons.
 *
 *     npm run schemathesis                  all of them, four minutes
 *     npm run schemathesis -- owner         one of them
 *     npm run schemathesis -- owner --include-path /api/v1/contacts
 *
 * For a failure it prints a curl command; the first command above with the same seed makes the same
 * requests, as far as the time allows. A response that violates its route's declaration (including
 * its status) is a 500 by the server's own check, whose `detail` says why.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { clientOf } from "./client.ts";
import { adminEmail, adminPassword, startServer, temporaryFolder } from "./server.ts";

const seed = "20261130";
const configuration = fileURLToPath(new URL("./schemathesis.toml", import.meta.url));
const password = "an-Unusual-passphrase-1";

/** Seconds for each role, which Schemathesis distributes over the operations. */
const seconds = { stranger: 35, viewer: 45, owner: 80, administrator: 60 };
type Role = keyof typeof seconds;

/** Their shares of that time, roughly proportional to their operations. */
const documents = { "/api-docs/openapi.json": 0.7, "/api-docs/dialects.json": 0.3 };

const isRole = (name: string | undefined): name is Role =>
  name !== undefined && Object.hasOwn(seconds, name);
const [first, ...others] = process.argv.slice(2);
const chosen = isRole(first) ? [first] : Object.keys(seconds).filter(isRole);
const given = isRole(first) || first === undefined ? others : [first, ...others];

const folder = await temporaryFolder();
const server = await startServer({
  dataDir: folder.path,
  env: {
    RATE_LIMIT_GLOBAL: "0",
    RATE_LIMIT_PLANS: "free=0",
    RATE_LIMIT_ACCOUNT: "0",
    RATE_LIMIT_ANONYMOUS: "0",
    RATE_LIMIT_CREDENTIALS: "0",
    ACCESS_TOKEN_EXPIRE_MINUTES: "60",
    LOG_LEVEL: "error",
  },
});
const call = clientOf(server.url);
const failed: string[] = [];
try {
  for (const role of chosen) if (!(await runAs(role))) failed.push(role);
} finally {
  await server.stop();
  await folder.remove();
}
if (failed.length > 0) {
  // For a 5xx, the reason is in the server's output, or in the problem's `detail`.
  console.error(server.output());
  console.error(`Schemathesis found failures as ${failed.join(", ")}`);
  process.exitCode = 1;
}

async function runAs(role: Role): Promise<boolean> {
  const token = await tokenOf(role);
  let passed = true;
  for (const [document, share] of Object.entries(documents)) {
    console.log(`\n== as ${role}: ${document}`);
    const options = [
      ...["--config-file", configuration, "run", `${server.url}${document}`, "--seed", seed],
      ...["--max-time", String(Math.ceil(seconds[role] * share)), ...given],
      ...(token === undefined ? [] : ["--header", `Authorization: Bearer ${token}`]),
    ];
    // It leaves a folder for its next run in its working directory.
    const child = spawn("schemathesis", options, { stdio: "inherit", cwd: folder.path });
    const [code] = await once(child, "exit");
    // A run that lost its token on the way tested nothing from there on.
    const lasted = token === undefined || (await isGood(token));
    if (!lasted)
      console.error(
        `The token of the ${role} became invalid during the run: find the operation that ended it`,
      );
    passed &&= code === 0 && lasted;
  }
  return passed;
}

async function isGood(token: string): Promise<boolean> {
  return (await call("GET", "/api/v1/auth/me", { token })).status === 200;
}

/** Each role has a tenant of its own, so that runs don't affect each other. */
async function tokenOf(role: Role): Promise<string | undefined> {
  if (role === "stranger") return undefined;
  if (role === "administrator") return logIn({ email: adminEmail, password: adminPassword });
  const email = `owner@${role}.example`;
  await post("/auth/register", { email, password, first_name: "Olga" });
  const account = await logIn({ email, password });
  const { id: tenant } = await post("/tenants", { key: `of-${role}`, name: role }, account);
  const owner = await logIn({ email, password, tenant });
  if (role === "owner") return owner;
  const viewer = { email: `viewer@${role}.example`, password };
  await post("/users", { ...viewer, role: "viewer" }, owner);
  return logIn({ ...viewer, tenant });
}

async function logIn(body: object): Promise<string> {
  return (await post("/auth/login", body)).token;
}

async function post(path: string, body: object, token?: string) {
  const reply = await call("POST", `/api/v1${path}`, { body, ...(token && { token }) });
  if (reply.status >= 300) throw new Error(`POST ${path}: ${JSON.stringify(reply.body)}`);
  return reply.body;
}
