/** Copies the template into a new folder and replaces its name. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
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
                     folder with the console's beside it. Default: ${version}
  --help             print this
`;

/** An error for the person who typed the command. */
class Refusal extends Error {}

/** The template's own name, wherever it occurs. */
const templateName = "my-app";

const template = join(packageFolder, "template");

/** npm omits `.gitignore` files when packing. */
const renamed: Readonly<Record<string, string>> = { gitignore: ".gitignore" };

/** Files that systems, editors and forges create in new folders; the template has none of them. */
const countsAsNothing = new Set([
  ...[".git", ".gitattributes", ".hg", ".DS_Store", "Thumbs.db", ".idea", "LICENSE"],
]);

export function main(args: readonly string[] = process.argv.slice(2)): void {
  try {
    const { values, positionals } = parse(args);
    if (values.help) console.log(help);
    else create(positionals, values.insulae ?? version);
  } catch (error) {
    const sentence = error instanceof Refusal ? error.message : systemErrorOf(error);
    if (sentence === undefined) throw error;
    console.error(sentence);
    process.exitCode = 1;
  }
}

function systemErrorOf(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error && "syscall" in error)) return undefined;
  const { code, message } = error;
  const path = "path" in error ? `${error.path}` : "the folder";
  switch (code) {
    case "EACCES":
    case "EPERM":
      return `You have no permission for ${path}. Choose a folder that you can write to.`;
    case "EROFS":
      return `${path} is on a read-only file system. Choose a folder that you can write to.`;
    case "ENOTDIR":
    case "EEXIST":
      return `A part of the path ${path} is not a folder. Choose another path.`;
    case "ENOSPC":
    case "EDQUOT":
      return `The disk is full: ${path} can't be written. Free some space, and choose a new folder.`;
    default:
      return `The project can't be created: ${message}.`;
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
    // Node's error messages are sentences.
    throw new Refusal(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
}

function create(positionals: readonly string[], insulae: string): void {
  const [given, ...more] = positionals;
  if (!given?.trim() || more.length > 0) throw new Refusal(help);
  const place = resolve(given);
  const name = nameOf(place);
  refuseWhatIsThere(place, given);
  const tarball = tarballOf(insulae);
  const tarballs = tarball === undefined ? [] : withConsole(tarball);

  mkdirSync(place, { recursive: true });
  const folder = realpathSync(place); // Nothing is copied through a symbolic link.
  cpSync(template, folder, {
    recursive: true,
    filter: (path) => basename(path) !== "node_modules",
  });
  for (const [from, to] of Object.entries(renamed))
    renameSync(join(folder, from), join(folder, to));
  for (const path of tarballs) copyFileSync(path, join(folder, basename(path)));
  const [own = insulae, web] = tarballs.map((path) => `file:${basename(path)}`);
  nameProject(folder, name, {
    insulae: own,
    ...(web !== undefined && { "@insulae/console": web }),
  });

  const shown = relative(process.cwd(), place) || ".";
  console.log(`Made ${name}, an application on Insulae, in ${shown}:

  insulae.config.ts   what the application consists of
  src/notes/          its first feature: two tables, four routes, a test
  README.md           how to run, change and deploy it

Install it, and run its test:

  ${shown === "." ? "" : `cd ${shown} && `}npm install
  npm test`);
}

/**
 * The project's name is its folder's. It also names the package, the image and objects in
 * Kubernetes.
 */
function nameOf(folder: string): string {
  const name = basename(folder);
  if (!/^[a-z][a-z0-9-]{0,48}[a-z0-9]$/.test(name)) {
    throw new Refusal(
      `"${name}" can't be a project's name. Use 2 to 50 lower-case letters, digits and hyphens, such as ${templateName}.`,
    );
  }
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(template, "package.json"), "utf8"),
  );
  if (name in { ...dependencies, ...devDependencies }) {
    throw new Refusal(`A project can't be called ${name}, the name of one of its dependencies.`);
  }
  return name;
}

/** Accepts an empty folder, also if it is a new git repository. */
function refuseWhatIsThere(folder: string, given: string): void {
  if (!existsSync(folder)) {
    if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new Refusal(`${given} is a broken symbolic link. Remove it, or choose a new folder.`);
    return;
  }
  if (!statSync(folder).isDirectory())
    throw new Refusal(`${given} is a file. Choose a new folder.`);
  const found = readdirSync(folder).find((entry) => !countsAsNothing.has(entry));
  if (found !== undefined) {
    throw new Refusal(
      `The folder ${given} is not empty: it contains ${found}. Nothing was changed; choose a new folder.`,
    );
  }
}

/** @returns the tarball's path, if `insulae` is one on this machine */
function tarballOf(insulae: string): string | undefined {
  if (/^(\d|[~^]\d|latest$|next$|https:)/.test(insulae)) return undefined;
  const path = resolve(insulae);
  if (path.endsWith(".tgz") && existsSync(path)) return path;
  throw new Refusal(
    `--insulae ${insulae} is neither a version, such as ${version}, nor an existing tarball.`,
  );
}

/** `npm run build` puts the console's tarball beside that of `insulae`, which depends on it. */
function withConsole(tarball: string): readonly string[] {
  const name = basename(tarball).replace(/^insulae-/, "insulae-console-");
  const beside = join(dirname(tarball), name);
  return name !== basename(tarball) && existsSync(beside) ? [tarball, beside] : [tarball];
}

function nameProject(
  folder: string,
  name: string,
  dependencies: Readonly<Record<string, string>>,
): void {
  // Only the template's files: those that were there before are not ours.
  for (const made of globSync("{*,.*,.vscode/*,deploy/*}", { cwd: template })) {
    const path = join(folder, renamed[made] ?? made);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
    const text = readFileSync(path, "utf8");
    if (text.includes(templateName)) writeFileSync(path, text.replaceAll(templateName, name));
  }
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(manifest.dependencies, dependencies);
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
