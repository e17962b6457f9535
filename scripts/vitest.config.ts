import { defineConfig } from "vitest/config";

/** The checks' own tests. */
export default defineConfig({
  test: { include: ["scripts/regular-expressions.test.ts", "scripts/errors-reference.test.ts"] },
});
