import {
  CreateSecretCommand,
  SecretsManagerClient,
  UpdateSecretCommand,
} from "@aws-sdk/client-secrets-manager";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { ConfigError } from "../config/config.ts";
import { describeWithMoto, startTestMoto, type TestMoto } from "../testing/test-moto.ts";
import { withStoredSecrets } from "./secret-store.ts";

test("without a secret the environment is unchanged", async () => {
  const env = { PORT: "8000" };
  expect(await withStoredSecrets(env)).toBe(env);
});

describeWithMoto("settings in AWS Secrets Manager", () => {
  let moto: TestMoto;
  let client: SecretsManagerClient;
  const id = "insulae/production";

  beforeAll(async () => {
    moto = await startTestMoto();
    // Where the SDK finds credentials by itself, as in a container.
    vi.stubEnv("AWS_ENDPOINT_URL", moto.url);
    vi.stubEnv("AWS_REGION", "eu-central-1");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    client = new SecretsManagerClient({});
    await client.send(new CreateSecretCommand({ Name: id, SecretString: "{}" }));
  });
  afterAll(async () => {
    client.destroy();
    await moto.stop();
    vi.unstubAllEnvs();
  });

  const store = (SecretString: string) =>
    client.send(new UpdateSecretCommand({ SecretId: id, SecretString }));
  const problemsOf = (env: Record<string, string>): Promise<readonly string[]> =>
    withStoredSecrets(env).then(
      () => [],
      (error) => (error instanceof ConfigError ? error.problems : [String(error)]),
    );
  afterEach(() => store("{}"));

  test("are added to the environment, once", async () => {
    await store('{"MASTER_SECRET": "from the store", "REDIS_URL": "rediss://cache"}');
    const env = await withStoredSecrets({
      AWS_SECRET_ID: id,
      PORT: "80",
      REDIS_URL: "rediss://cache",
    });
    expect(env).toEqual({
      PORT: "80",
      MASTER_SECRET: "from the store",
      REDIS_URL: "rediss://cache",
    });
    await store('{"PORT": "81"}');
    expect(await withStoredSecrets(env)).toBe(env);
  });

  test("that differ from the environment's stop the boot, without revealing values", async () => {
    await store('{"MASTER_SECRET": "from the store"}');
    const problems = await problemsOf({ AWS_SECRET_ID: id, MASTER_SECRET: "of the environment" });
    expect(problems).toEqual([expect.stringMatching(/^MASTER_SECRET differs/)]);
    expect(problems.join()).not.toContain("from the store");
  });

  test.each([
    [
      "a name that is no setting",
      '{"MASTER_SECRETS": "x"}',
      /MASTER_SECRETS in .* is not a setting/,
    ],
    [
      "the name of another secret",
      '{"AWS_SECRET_ID": "x"}',
      /AWS_SECRET_ID in .* is not a setting/,
    ],
    ["a number", '{"PORT": 80}', /not a JSON object of strings/],
    ["a list", '["PORT"]', /not a JSON object of strings/],
    ["what is no JSON", "MASTER_SECRET=x", /not a JSON object of strings/],
  ])("%s is refused", async (_, text, message) => {
    await store(text);
    expect(await problemsOf({ AWS_SECRET_ID: id })).toEqual([expect.stringMatching(message)]);
  });

  test("that don't exist stop the boot", async () => {
    const problems = await problemsOf({ AWS_SECRET_ID: "nowhere" });
    expect(problems).toEqual([expect.stringContaining("ResourceNotFoundException")]);
  });
});
