/** `npm run format`: lint with automatic fixes, and format. */
import { spawnSync } from "node:child_process";
import { biome, installTools } from "./tools.ts";

installTools();
const { status } = spawnSync(biome, ["check", "--write", ...process.argv.slice(2), "."], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
