/** Copies the template into a new folder, under the name of the folder. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const packageFolder = fileURLToPath(new URL("../", import.meta.url));
const { version }: { version: string } = JSON.parse(
  readFileSync(join(packageFolder, "package.json"), "utf8"),
);

const help = `Makes an application on Insulae in a new folder.

  npm create insulae <folder>

Options (with npm, after --):
  --insulae <what>   a version of Insulae, or a tarball (insulae-${version}.tgz), which is copied into the
                     folder. Default: ${version}
  --help             print this
`;

/** What is wrong with what was typed, in a sentence for whoever typed it. */
class Refusal extends Error {}

/** The name that the template has, wherever it names itself. */
const templateName = "my-app";

/** npm leaves out a `.gitignore` when it packs a package. */
const renamed = { gitignore: ".gitignore" };

export function main(args: readonly string[] = process.argv.slice(2)): void {
  try {
    const { values, positionals } = parse(args);
    if (values.help) console.log(help);
    else create(positionals, values.insulae ?? version);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { insulae: { type: "string" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    // Node's errors say what is wrong in a sentence.
    throw new Refusal(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
}

function create(positionals: readonly string[], insulae: string): void {
  const [given, ...more] = positionals;
  if (given === undefined || more.length > 0) throw new Refusal(help);
  const folder = resolve(given);
  const name = nameOf(folder);
  refuseWhatIsThere(folder, given);
  const tarball = tarballOf(insulae);

  mkdirSync(folder, { recursive: true });
  cpSync(join(packageFolder, "template"), folder, {
    recursive: true,
    filter: (path) => basename(path) !== "node_modules",
  });
  for (const [from, to] of Object.entries(renamed))
    renameSync(join(folder, from), join(folder, to));
  if (tarball !== undefined) copyFileSync(tarball, join(folder, basename(tarball)));
  nameProject(folder, name, tarball === undefined ? insulae : `file:${basename(tarball)}`);

  const shown = relative(process.cwd(), folder) || ".";
  console.log(`Made ${name}, an application on Insulae, in ${shown}:

  insulae.config.ts   what the application consists of
  src/notes/          its first feature: two tables, four routes, a test
  README.md           how to run, change and deploy it

Install it, and run its test:

  ${shown === "." ? "" : `cd ${shown} && `}npm install
  npm test`);
}

/** The project's name is its folder's: that of a package, an image and objects in Kubernetes. */
function nameOf(folder: string): string {
  const name = basename(folder);
  if (!/^[a-z][a-z0-9-]{0,48}[a-z0-9]$/.test(name)) {
    throw new Refusal(
      `"${name}" can't be a project's name. Use 2 to 50 lower-case letters, digits and hyphens, such as ${templateName}.`,
    );
  }
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(packageFolder, "template/package.json"), "utf8"),
  );
  if (name in { ...dependencies, ...devDependencies }) {
    throw new Refusal(`A project can't be called ${name}, as a package that it depends on.`);
  }
  return name;
}

/** A folder that was only made, or made a repository of git's, is empty. */
function refuseWhatIsThere(folder: string, given: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new Refusal(`${given} is a file. Name a new folder.`);
  if (readdirSync(folder).some((entry) => entry !== ".git")) {
    throw new Refusal(`The folder ${given} is not empty. Nothing was changed; name a new one.`);
  }
}

/** @returns its path, if what was given is a tarball on this machine. */
function tarballOf(insulae: string): string | undefined {
  if (/^(\d|[~^]\d|latest$|next$|https:)/.test(insulae)) return undefined;
  const path = resolve(insulae);
  if (path.endsWith(".tgz") && existsSync(path)) return path;
  throw new Refusal(
    `--insulae ${insulae} is neither a version, such as ${version}, nor a tarball that there is.`,
  );
}

function nameProject(folder: string, name: string, insulae: string): void {
  for (const file of globSync("{*,.*,.vscode/*,deploy/*}", { cwd: folder, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (!file.isFile() || path.endsWith(".tgz")) continue;
    const text = readFileSync(path, "utf8");
    if (text.includes(templateName)) writeFileSync(path, text.replaceAll(templateName, name));
  }
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.dependencies.insulae = insulae;
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
