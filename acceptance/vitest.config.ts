import { defineConfig } from "vitest/config";

/**
 * Tests from outside, and tests of whole processes (the CLI, an embedded PostgreSQL that is
 * killed). Each file starts its own servers, so files run one after another.
 */
export default defineConfig({
  test: {
    include: ["acceptance/**/*.test.ts", "packages/*/{src,test}/**/*.process.test.ts"],
    root: new URL("..", import.meta.url).pathname,
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
