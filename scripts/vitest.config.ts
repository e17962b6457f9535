import { defineConfig } from "vitest/config";

/** The tests that need what only the checks do. */
export default defineConfig({
  test: { include: ["scripts/regular-expressions.test.ts", "scripts/errors-reference.test.ts"] },
});
