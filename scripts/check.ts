/**
 * `npm run check`: types, lint and format, dead code, import directions, file lengths, and
 * generated files. Runs everything, then fails if anything failed.
 */
import { spawnSync } from "node:child_process";
import { commandProblems } from "./cli-reference.ts";
import { configurationProblems } from "./configuration-reference.ts";
import { coverageProblems } from "./coverage-reference.ts";
import { dependencyProblems } from "./dependencies.ts";
import { exampleProblems } from "./environment-example.ts";
import { longFiles } from "./long-files.ts";
import { rolesProblems } from "./roles-reference.ts";
import { biome, installTools, knip, tsc } from "./tools.ts";

installTools();
const { operationsProblems } = await import("../packages/console/build/operations.ts");
const { clientSchemaProblems } = await import("./client-schema.ts");
const { errorsProblems } = await import("./errors-reference.ts");
const { regularExpressionProblems } = await import("./regular-expressions.ts");

const commands: readonly (readonly [string, string, readonly string[]])[] = [
  ["types", tsc, ["-p", "tsconfig.json"]],
  // Browser code: with the DOM, without Node.
  ["types in browsers", tsc, ["-p", "tsconfig.browser.json"]],
  ["types of the console", tsc, ["-p", "tsconfig.console.json"]],
  ["lint and format", biome, ["ci", "--error-on-warnings", "."]],
  ["dead code", knip, []],
  ["the checks' own tests", "vitest", ["run", "--config", "scripts/vitest.config.ts"]],
];

let failed = false;
const report = (name: string, problems: readonly string[]): void => {
  failed ||= problems.length > 0;
  console.log(`${problems.length === 0 ? "ok" : "FAILED"}  ${name}`);
  for (const problem of problems) console.log(`        ${problem}`);
};

for (const [name, command, args] of commands) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  report(name, status === 0 ? [] : `${stdout}${stderr}`.trim().split("\n"));
}
report("dependencies", dependencyProblems());
report("file lengths", longFiles());
report("regular expressions", regularExpressionProblems());
report("docs/configuration.md", configurationProblems());
report(".env.example", exampleProblems());
report("docs/cli.md", commandProblems());
report("docs/roles.md", rolesProblems());
report("docs/errors.md", errorsProblems());
report("docs/coverage.md", coverageProblems());
report("packages/client/src/schema.gen.ts", await clientSchemaProblems());
report("packages/console/src/lib/operations.gen.ts", operationsProblems());
process.exitCode = failed ? 1 : 0;
