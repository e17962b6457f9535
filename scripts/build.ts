/**
 * Builds the published packages. Node runs TypeScript sources, but not below `node_modules`. Each
 * package gets a folder in `build/` with JavaScript, types and a manifest, and a tarball for npm.
 * In this repository nothing needs it: the sources run.
 *
 * @example
 * npm run build && npm publish build/insulae-0.1.0.tgz
 */
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installTools, tsc } from "./tools.ts";

const root = join(import.meta.dirname, "..");
const build = join(root, "build");

interface Package {
  readonly name: string;
  /** The package whose compiler options to use. */
  readonly tsconfig?: string;
  /** Additional files, from paths in the repository to paths in the package. */
  readonly copied?: Readonly<Record<string, string>>;
  /** The targets of the manifest's `imports` once these files are copied. */
  readonly imports?: Readonly<Record<string, string>>;
}

const packages: readonly Package[] = [
  {
    name: "insulae",
    copied: {
      "packages/insulae/migrations": "migrations",
      "README.md": "README.md",
      ...vendored("swagger-ui-dist", "swagger-ui", [
        ...["swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css"],
        ...["swagger-ui-standalone-preset.js", "swagger-ui-standalone-preset.js.LICENSE.txt"],
        ...["LICENSE", "NOTICE"],
      ]),
      ...vendored("redoc", "redoc", [
        ...["bundles/redoc.standalone.js", "bundles/redoc.standalone.js.LICENSE.txt", "LICENSE"],
      ]),
    },
    imports: { "#swagger-ui/*": "./vendor/swagger-ui/*", "#redoc/*": "./vendor/redoc/*" },
  },
  {
    name: "client",
    tsconfig: "tsconfig.browser.json",
    copied: { "docs/client.md": "README.md" },
  },
  {
    name: "create-insulae",
    copied: {
      "packages/create-insulae/template": "template",
      "packages/create-insulae/README.md": "README.md",
    },
  },
];

/**
 * Files of a package that is needed only for them: they are published with ours, instead of a
 * dependency.
 */
function vendored(name: string, folder: string, files: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    files.map((file) => [
      `node_modules/${name}/${file}`,
      `vendor/${folder}/${file.split("/").at(-1)}`,
    ]),
  );
}

function buildPackage({ name, tsconfig = "tsconfig.json", copied = {}, imports }: Package): void {
  const source = join(root, "packages", name);
  const target = join(build, name);
  compile(name, tsconfig);
  cpSync(join(source, "src"), join(target, "dist"), {
    recursive: true,
    filter: (path) => !path.endsWith(".ts"),
  });
  for (const [from, to] of Object.entries({ LICENSE: "LICENSE", ...copied })) {
    cpSync(join(root, from), join(target, to), { recursive: true });
  }
  const { devDependencies: _, ...manifest } = JSON.parse(
    readFileSync(join(source, "package.json"), "utf8")
      .replaceAll(/"\.\/src\/([^"]+)\.ts"/g, '"./dist/$1.js"')
      .replace('"src"', imports ? '"dist", "vendor"' : '"dist"'),
  );
  writeFileSync(
    join(target, "package.json"),
    JSON.stringify({ ...manifest, ...(imports && { imports }) }, null, 2),
  );
  pack(target);
}

/** The console is what its own build leaves: none of its sources is compiled here. */
function packConsole(): void {
  const source = join(root, "packages/console");
  execFileSync(process.execPath, [join(source, "build/build.ts")], { stdio: "inherit" });
  const target = join(build, "console");
  cpSync(join(source, "dist"), join(target, "dist"), { recursive: true });
  cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
  const { devDependencies: _, ...manifest } = JSON.parse(
    readFileSync(join(source, "package.json"), "utf8"),
  );
  writeFileSync(join(target, "package.json"), JSON.stringify(manifest, null, 2));
  pack(target);
}

const pack = (folder: string): void => {
  execFileSync("npm", ["pack", folder, "--pack-destination", build, "--silent"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
};

/**
 * Compiles the manifest's entries, their imports and worker scripts, without tests and test
 * helpers.
 */
function compile(name: string, tsconfig: string): void {
  const source = join(root, "packages", name);
  const named = readFileSync(join(source, "package.json"), "utf8").matchAll(/"\.\/(src\/.+\.ts)"/g);
  const threads = globSync("src/**/*.worker.ts", { cwd: source });
  const entries = [...[...named].map(([, file = ""]) => file), ...threads];
  const project = join(build, `tsconfig.${name}.json`);
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, tsconfig),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        rootDir: join(source, "src"),
        outDir: join(build, name, "dist"),
      },
      files: entries.map((file) => join(source, file)),
      include: [],
    }),
  );
  execFileSync(tsc, ["-p", project], { stdio: "inherit" });
}

installTools();
rmSync(build, { recursive: true, force: true });
mkdirSync(build);
for (const one of packages) buildPackage(one);
packConsole();
console.log(["Made:", ...globSync("*.tgz", { cwd: build }).toSorted()].join("\n  build/"));
