/**
 * Builds what is published: Node runs the sources as they are, but not below `node_modules`. The folders
 * `build/insulae` and `build/client` get the compiled packages, with manifests that name JavaScript;
 * `npm pack` or `npm publish` them from there. Nothing else needs it: here, the sources run.
 *
 * @example
 * npm run build && npm publish ./build/insulae && npm publish ./build/client
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { installTools, tsc } from "./tools.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param tsconfig whose options it is compiled with. */
function build(name: string, tsconfig: string): void {
  const source = `${root}packages/${name}`;
  const target = `${root}build/${name}`;
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const project = `${root}build/tsconfig.${name}.json`;
  writeFileSync(
    project,
    JSON.stringify({
      extends: `../${tsconfig}`,
      compilerOptions: {
        noEmit: false,
        declaration: true,
        rootDir: `../packages/${name}/src`,
        outDir: `${name}/dist`,
      },
      include: [`../packages/${name}/src`],
      exclude: ["../**/*.test.ts", "../**/*-fixture.ts"],
    }),
  );
  execFileSync(tsc, ["-p", project], { stdio: "inherit" });
  cpSync(`${source}/src`, `${target}/dist`, {
    recursive: true,
    filter: (path) => !path.endsWith(".ts"),
  });
  const manifest = readFileSync(`${source}/package.json`, "utf8")
    .replaceAll(/"\.\/src\/([^"]+)\.ts"/g, '"./dist/$1.js"')
    .replace('"src"', '"dist"');
  writeFileSync(`${target}/package.json`, manifest);
  cpSync(`${root}LICENSE`, `${target}/LICENSE`);
}

installTools();
build("insulae", "tsconfig.json");
cpSync(`${root}packages/insulae/migrations`, `${root}build/insulae/migrations`, {
  recursive: true,
});
cpSync(`${root}README.md`, `${root}build/insulae/README.md`);

build("client", "tsconfig.browser.json");
cpSync(`${root}docs/client.md`, `${root}build/client/README.md`);
