import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "packages/*/{src,test,template}/**/*.test.ts",
      "examples/**/*.test.ts",
      "scripts/**/*.test.ts",
    ],
    // Those that start, kill and count whole processes are run with the acceptance tests; those of checks, which
    // need what `npm ci` leaves out, with the checks.
    exclude: [
      "**/*.process.test.ts",
      "scripts/regular-expressions.test.ts",
      "scripts/errors-reference.test.ts",
      "**/node_modules/**",
    ],
    // One PostgreSQL for the run; each file works on databases of its own (insulae/testing).
    globalSetup: ["packages/insulae/src/testing/global-setup.ts"],
    setupFiles: [
      "packages/insulae/src/testing/no-leaks.ts",
      "packages/insulae/src/testing/seed-properties.ts",
    ],
    reporters: ["default", "./scripts/test-times.ts"],
    // What is random is the same in each run with the same seed.
    env: {
      INSULAE_TEST_SEED:
        process.env.INSULAE_TEST_SEED ?? String(Math.floor(Math.random() * 2 ** 31)),
    },
    pool: "forks",
    isolate: false,
    // A third of the time a test waits for PostgreSQL or for time to pass.
    maxWorkers: Math.ceil(1.5 * Math.max(2, availableParallelism())),
    // With `--coverage`, as in CI. What only runs in processes of its own (the CLI) does not count.
    coverage: {
      include: ["packages/insulae/src/**/*.ts"],
      exclude: ["**/*.test.ts", "packages/insulae/src/testing/**"],
      reporter: ["text-summary"],
      thresholds: { lines: 85, branches: 75 },
    },
    // What is waited for comes; on a busy machine late.
    expect: { poll: { timeout: 10_000 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
  },
});
