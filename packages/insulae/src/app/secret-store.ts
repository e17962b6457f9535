/**
 * Reads settings from AWS Secrets Manager. `AWS_SECRET_ID` names a secret that contains a JSON
 * object of settings, such as `{"MASTER_SECRET": "…", "DATABASE_URL": "…"}`. They are read once at
 * the start, with the credentials that the AWS SDK finds (preferably the role of task or pod). A
 * setting that differs from the environment's stops the boot.
 */
import { ConfigError, isSetting } from "../config/config.ts";
import { sendCommand } from "../kernel/delivery/aws.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const variable = "AWS_SECRET_ID";
/** Includes finding credentials. The start waits for it. */
const readMs = 20_000;

/**
 * The environment with the secret's settings added; unchanged if it names no secret.
 *
 * @throws ConfigError if the secret can't be read, or does not contain settings
 */
export async function withStoredSecrets(
  env: Environment,
  timeoutMs = readMs,
): Promise<Environment> {
  const id = env[variable]?.trim();
  if (!id) return env;
  const stored = settingsOf(id, await read(id, timeoutMs));
  const differing = Object.keys(stored).filter((name) => env[name] && env[name] !== stored[name]);
  if (differing.length > 0) {
    throw new ConfigError(
      differing.map(
        (name) => `${name} differs from its value in the secret ${id}; set it in one place`,
      ),
    );
  }
  // Removed, so that passing the environment on does not read it again.
  return { ...env, ...stored, [variable]: undefined };
}

async function read(id: string, timeoutMs: number): Promise<string> {
  // Loaded only if needed.
  const { GetSecretValueCommand, SecretsManagerClient } = await import(
    "@aws-sdk/client-secrets-manager"
  );
  const client = new SecretsManagerClient({});
  try {
    const { SecretString } = await sendCommand(
      new GetSecretValueCommand({ SecretId: id }),
      (command, options) => client.send(command, options),
      timeoutMs,
    );
    return SecretString ?? "";
  } catch (error) {
    const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new ConfigError([`${variable}: the secret ${id} can't be read: ${why}`]);
  } finally {
    client.destroy();
  }
}

/** Messages never contain values of the secret. */
function settingsOf(id: string, text: string): Readonly<Record<string, string>> {
  const values = parsed(text);
  if (values === undefined) {
    throw new ConfigError([`${variable}: the secret ${id} is not a JSON object of strings`]);
  }
  const unknown = Object.keys(values).filter((name) => !isSetting(name) || name === variable);
  if (unknown.length > 0) {
    throw new ConfigError([`${variable}: ${unknown.join(", ")} in ${id} is not a setting`]);
  }
  return values;
}

function parsed(text: string): Readonly<Record<string, string>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value);
    if (!entries.every((entry): entry is [string, string] => typeof entry[1] === "string")) {
      return undefined;
    }
    return Object.fromEntries(entries);
  } catch {
    return undefined;
  }
}
