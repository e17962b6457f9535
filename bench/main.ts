/**
 * `npm run bench`: all measurements and comparisons in one run. It starts everything it needs and
 * leaves nothing behind. The report goes to stdout, progress to stderr.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Options, parseOptions, usage } from "./options.ts";

async function main(options: Options): Promise<void> {
  installBaselines();
  const { runBenchmark } = await import("./run.ts");
  console.log(await runBenchmark(options));
}

/** The compared stacks are not part of `npm ci` at the root. */
function installBaselines(): void {
  if (existsSync(join(import.meta.dirname, "node_modules/.package-lock.json"))) return;
  console.error("Installing the compared stacks …");
  const args = ["ci", "--prefix", import.meta.dirname, "--omit=dev", "--ignore-scripts"];
  execFileSync("npm", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

// Handlers of "exit" stop the started processes.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

if (process.argv.includes("--help")) console.log(usage);
else await main(readOptions());
