import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    // One PostgreSQL for all tests; each file that calls createTestApp() has a database of its own there.
    globalSetup: ["insulae/testing/global-setup"],
    hookTimeout: 60_000,
    testTimeout: 30_000,
  },
});
