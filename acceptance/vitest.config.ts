import { defineConfig } from "vitest/config";

/**
 * The tests from outside, and those of whole processes (the CLI, an embedded PostgreSQL that is killed):
 * each file starts servers of its own, so they take turns on the machine.
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
