/**
 * `insulae doctor` checks the machine, the configuration, the database and every placement, and
 * says how to fix what is wrong. It changes nothing: an embedded PostgreSQL that was never started
 * is left alone; a stopped one is started for the check and stopped again. `--production` also
 * checks fitness for production.
 */
import { styleText } from "node:util";
import { type Config, ConfigError, loadConfig } from "../config/config.ts";
import { type Check, failure, ok } from "../doctor/check.ts";
import { exitCodes } from "../doctor/failure.ts";
import { count } from "../kernel/lib/count.ts";
import type { CommandContext, Result } from "./command.ts";
import { checkDatabase } from "./doctor-database.ts";
import { checkDataFolder, checkNode, checkPort, checkPrograms } from "./doctor-machine.ts";
import { checkHealth, checkSettings, forPeople } from "./doctor-production.ts";
import { checkProductionDatabase } from "./doctor-production-database.ts";
import { checkRedis } from "./doctor-production-redis.ts";

export async function doctor(
  { env, application }: CommandContext,
  { production }: { readonly production: boolean },
): Promise<Result> {
  const { config, checks: configuration } = readConfiguration(production ? inProduction(env) : env);
  const checks: Check[] = [checkNode(), ...configuration];
  if (production) checks.push(checkEnvironment(env));
  if (config) {
    checks.push(...(await checkPort(config)));
    if (config.databaseUrl === undefined) checks.push(checkPrograms());
    checks.push(...(await checkDataFolder(config)));
    checks.push(...(await checkDatabase(config, await application())));
    if (production) checks.push(...(await checkProduction(config, checks)));
  }
  const failures = checks.filter(({ state }) => state === "failure").length;
  return {
    document: { ok: failures === 0, checks, ...(production && { for_people: forPeople }) },
    text: production ? `${describe(checks)}\n\n${describeRest()}` : describe(checks),
    exitCode: failures === 0 ? exitCodes.ok : exitCodes.failed,
  };
}

/** Checks the settings as production would, wherever the command runs. */
const inProduction = (env: CommandContext["env"]): CommandContext["env"] => ({
  ...env,
  ...{ APP_ENV: "production", NODE_ENV: undefined, RUST_ENV: undefined },
});

function checkEnvironment({ APP_ENV, NODE_ENV, RUST_ENV }: CommandContext["env"]): Check {
  const name = "environment";
  const given = APP_ENV || NODE_ENV || RUST_ENV || "development, by default";
  return given === "production"
    ? ok(name, given)
    : failure(name, `APP_ENV is ${given}`, "set APP_ENV=production");
}

async function checkProduction(
  config: Config,
  before: readonly Check[],
): Promise<readonly Check[]> {
  const unreachable = before.some(({ name, state }) => name === "database" && state === "failure");
  const databaseUrl = config.databaseDirectUrl ?? config.databaseUrl;
  return [
    ...checkSettings(config),
    ...(unreachable || databaseUrl === undefined ? [] : await checkProductionDatabase(databaseUrl)),
    ...(await checkRedis(config.redisUrl)),
    await checkHealth(config),
  ];
}

const describeRest = (): string =>
  ["What no program can check, so you have to:", ...forPeople.map((line) => `☐ ${line}`)].join(
    "\n",
  );

/** Without a readable configuration, the database is unknown. */
function readConfiguration(env: CommandContext["env"]): {
  config: Config | undefined;
  checks: readonly Check[];
} {
  const name = "configuration";
  try {
    const config = loadConfig(env);
    return { config, checks: [ok(name, config.env)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const remedy = "set it in the environment or in .env; the database was not checked";
    const checks = error.problems.map((problem) => failure(name, problem, remedy));
    return { config: undefined, checks };
  }
}

const marks = {
  ok: { sign: "✔", color: "green" },
  warning: { sign: "!", color: "yellow" },
  failure: { sign: "✘", color: "red" },
} as const;

function describe(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const indent = " ".repeat(width + 4);
  const lines = checks.flatMap(({ name, state, message, remedy }) => {
    const { sign, color } = marks[state];
    const text = message.replaceAll("\n", `\n${indent}`);
    const head = `${styleText(color, sign)} ${name.padEnd(width)}  ${text}`;
    return remedy === undefined ? [head] : [head, `${indent}→ ${remedy}`];
  });
  const number = (state: Check["state"]) => checks.filter((check) => check.state === state).length;
  const [failures, warnings] = [number("failure"), number("warning")];
  const summary =
    failures + warnings === 0
      ? "No problems found."
      : `${count("failure", failures)}, ${count("warning", warnings)}.`;
  return [...lines, "", summary].join("\n");
}
