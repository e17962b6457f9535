/**
 * `npm run check`: types, lint and format, dead code, the direction of dependencies, and files that
 * outgrow the style. Runs everything, then fails if anything failed.
 */
import { spawnSync } from "node:child_process";
import { clientSchemaProblems } from "./client-schema.ts";
import { configurationProblems } from "./configuration-reference.ts";
import { coverageProblems } from "./coverage-reference.ts";
import { dependencyProblems } from "./dependencies.ts";
import { exampleProblems } from "./environment-example.ts";
import { longFiles } from "./long-files.ts";
import { regularExpressionProblems } from "./regular-expressions.ts";
import { rolesProblems } from "./roles-reference.ts";

const commands: readonly (readonly [string, readonly string[]])[] = [
  ["tsc", ["-p", "tsconfig.json"]],
  // What runs in browsers: with the DOM, and without Node.
  ["tsc", ["-p", "tsconfig.browser.json"]],
  ["biome", ["ci", "--error-on-warnings", "."]],
  ["knip", []],
];

let failed = false;
const report = (name: string, problems: readonly string[]): void => {
  failed ||= problems.length > 0;
  console.log(`${problems.length === 0 ? "ok" : "FAILED"}  ${name}`);
  for (const problem of problems) console.log(`        ${problem}`);
};

for (const [command, args] of commands) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  report([command, ...args].join(" "), status === 0 ? [] : `${stdout}${stderr}`.trim().split("\n"));
}
report("dependencies", dependencyProblems());
report("file lengths", longFiles());
report("regular expressions", regularExpressionProblems());
report("docs/configuration.md", configurationProblems());
report(".env.example", exampleProblems());
report("docs/roles.md", rolesProblems());
report("docs/coverage.md", coverageProblems());
report("packages/client/src/schema.gen.ts", await clientSchemaProblems());
process.exitCode = failed ? 1 : 0;
