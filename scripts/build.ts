/**
 * Builds what is published: Node runs the sources as they are, but not below `node_modules`. The folder
 * `build/insulae` gets the compiled package, with a manifest that names JavaScript; `npm pack` or
 * `npm publish` it from there. Nothing else needs it: here, the sources run.
 *
 * @example
 * npm run build && npm publish ./build/insulae
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = `${root}packages/insulae`;
const target = `${root}build/insulae`;

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
writeFileSync(
  `${root}build/tsconfig.json`,
  JSON.stringify({
    extends: "../tsconfig.json",
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rootDir: "../packages/insulae/src",
      outDir: "insulae/dist",
    },
    include: ["../packages/insulae/src"],
    exclude: ["../packages/insulae/src/**/*.test.ts"],
  }),
);
execFileSync("tsc", ["-p", `${root}build/tsconfig.json`], { stdio: "inherit" });

cpSync(`${source}/migrations`, `${target}/migrations`, { recursive: true });
cpSync(`${source}/src`, `${target}/dist`, {
  recursive: true,
  filter: (path) => !path.endsWith(".ts"),
});
for (const file of ["LICENSE", "README.md"]) cpSync(`${root}${file}`, `${target}/${file}`);

const manifest = readFileSync(`${source}/package.json`, "utf8")
  .replaceAll(/"\.\/src\/([^"]+)\.ts"/g, '"./dist/$1.js"')
  .replace('"src"', '"dist"');
writeFileSync(`${target}/package.json`, manifest);
