import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { readEnvironment } from "./command.ts";

test(".env in the folder adds to the environment, and overrides nothing", () => {
  const folder = mkdtempSync(join(tmpdir(), "insulae-env-"));
  const before = process.cwd();
  process.chdir(folder);
  onTestFinished(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
    delete process.env.APP_PORT;
    vi.unstubAllEnvs();
  });
  vi.stubEnv("LOG_LEVEL", "error");
  expect(readEnvironment(() => {}).APP_PORT).toBeUndefined();
  writeFileSync(".env", "# Of ours\nAPP_PORT=8123\nLOG_LEVEL=debug\n");
  expect(readEnvironment(() => {})).toMatchObject({ APP_PORT: "8123", LOG_LEVEL: "error" });
});
