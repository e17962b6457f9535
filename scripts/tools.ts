/**
 * What the checks and the build work with: `scripts/package.json`, which `npm ci` at the root leaves out, since
 * running and testing need none of it.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "node_modules");

/** Fetches them, once. */
export function installTools(): void {
  if (existsSync(join(folder, ".package-lock.json"))) return;
  console.error("Installing what the checks need …");
  execFileSync("npm", ["ci", "--prefix", import.meta.dirname, "--ignore-scripts"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

export const biome = join(folder, ".bin/biome");
export const knip = join(folder, ".bin/knip");
/** The compiler; what is beside it as `typescript` is for openapi-typescript alone, which prints by the API of 5. */
export const tsc = join(folder, "typescript-7/bin/tsc");
