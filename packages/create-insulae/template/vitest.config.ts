import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    // One PostgreSQL for all tests; each file that calls createTestApp() has its own database on
    // it.
    globalSetup: ["insulae/testing/global-setup"],
    hookTimeout: 60_000,
    testTimeout: 30_000,
  },
});
