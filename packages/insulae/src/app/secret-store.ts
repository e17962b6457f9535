/**
 * Settings that are kept in AWS Secrets Manager. `AWS_SECRET_ID` names a secret whose text is a JSON
 * object of settings, such as `{"MASTER_SECRET": "…", "DATABASE_URL": "…"}`; they are read once, at
 * the start, with whatever credentials the AWS SDK finds (the task's or the pod's role, by
 * preference). The environment's own settings stay; one that says something else stops the boot.
 */
import { ConfigError, isSetting } from "../config/config.ts";
import { sendCommand } from "../kernel/delivery/aws.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const variable = "AWS_SECRET_ID";
/** With the look for credentials. Who waits for it waits for the server to start. */
const readMs = 20_000;

/**
 * The environment with the settings of the secret that it names; without one, the environment itself.
 *
 * @throws ConfigError if the secret can't be read, or doesn't hold settings.
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
      differing.map((name) => `${name} differs from what the secret ${id} says; set one of them`),
    );
  }
  // Read once, however often an environment is handed on.
  return { ...env, ...stored, [variable]: undefined };
}

async function read(id: string, timeoutMs: number): Promise<string> {
  // Loaded only where there is a secret: nobody else pays for it.
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

/** No value of it is repeated in a message. */
function settingsOf(id: string, text: string): Readonly<Record<string, string>> {
  const values = parsed(text);
  if (values === undefined) {
    throw new ConfigError([`${variable}: the secret ${id} is not a JSON object of texts`]);
  }
  const unknown = Object.keys(values).filter((name) => !isSetting(name) || name === variable);
  if (unknown.length > 0) {
    throw new ConfigError([`${variable}: ${unknown.join(", ")} in ${id} is no setting`]);
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
