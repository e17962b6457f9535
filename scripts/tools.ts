/**
 * The tools of checks and build: `scripts/package.json`, which `npm ci` at the root omits because
 * running and testing don't need them.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "node_modules");

/** Installs the tools if they are missing. */
export function installTools(): void {
  if (existsSync(join(folder, ".package-lock.json"))) return;
  console.error("Installing the tools of the checks …");
  execFileSync("npm", ["ci", "--prefix", import.meta.dirname, "--ignore-scripts"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

export const biome = join(folder, ".bin/biome");
export const knip = join(folder, ".bin/knip");
/**
 * The compiler. The package `typescript` next to it is for openapi-typescript alone, which prints
 * with version 5's API.
 */
export const tsc = join(folder, "typescript-7/bin/tsc");
