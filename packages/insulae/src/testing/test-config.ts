/** Settings of test apps. */
import type { Config } from "../config/config.ts";
import { testMasterSecret } from "./test-secret.ts";

/** Cheap, because tests sign people in by the dozen. */
export const cheapHashes = { memoryKib: 64, passes: 1 };

/** Tests send more requests than people do; tests of limits set their own. */
const highLimits = {
  global: 1_000_000_000,
  plans: { free: 1_000_000_000 },
  account: 1_000_000_000,
  anonymous: 1_000_000_000,
  credentials: 1_000_000_000,
};

export const testConfig = (databaseUrl: string) =>
  ({
    env: "test",
    port: 0,
    databaseUrl,
    databaseConnections: 20,
    masterSecret: testMasterSecret,
    logLevel: "silent",
    rateLimits: highLimits,
    argon2: cheapHashes,
  }) satisfies Partial<Config>;
