import { defineConfig } from "vitest/config";

/** The tests from outside: each file starts servers of its own, so they take turns on the machine. */
export default defineConfig({
  test: {
    include: ["acceptance/**/*.test.ts"],
    root: new URL("..", import.meta.url).pathname,
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
