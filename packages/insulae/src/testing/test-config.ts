/** Settings of test apps. */
import type { Config } from "../config/config.ts";
import { testMasterSecret } from "./test-secret.ts";

/** A test signs people in by the dozen; one about the cost of that sets its own. */
export const cheapHashes = { memoryKib: 64, passes: 1 };

/** Tests ask more often than people do; one about limits sets its own. */
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
