/**
 * Executes a Dockerfile without an engine: each stage is a folder in place of an image's `/`, and
 * commands run on this machine with absolute paths below that folder. Supports the instructions
 * that ours uses.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { basename, join, matchesGlob, relative, resolve } from "node:path";

export interface Image {
  /** The folder that stands for `/`. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/**
 * @param context the folder sent to the engine
 * @param target where the stages' folders are created
 */
export function buildImage(context: string, target: string, env: NodeJS.ProcessEnv): Image {
  const stages = new Map<string, Image>();
  let image: Mutable<Image> | undefined;
  for (const [instruction, rest] of instructionsOf(join(context, "Dockerfile"))) {
    if (instruction === "ARG") continue;
    if (instruction === "FROM") {
      const name = / AS (\w+)$/.exec(rest)?.[1] ?? "last";
      const root = join(target, name);
      mkdirSync(root, { recursive: true });
      image = {
        ...{ root, workdir: root, env: {}, user: "root" },
        ...{ healthcheck: [], entrypoint: [], cmd: [] },
      };
      stages.set(name, image);
    } else if (image === undefined) throw new Error(`${instruction} before FROM`);
    else carryOut(image, instruction, rest, { context, stages, env });
  }
  if (image === undefined) throw new Error("the Dockerfile has no stage");
  return image;
}

const instructionsOf = (file: string): (readonly [string, string])[] =>
  readFileSync(file, "utf8")
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, instruction = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return [instruction, rest] as const;
    });

/** Maps the image's paths to its folder. */
const inside = (image: Image, text: string): string =>
  text.replaceAll(/(?<![^\s="'])\/(?=[a-z])/g, `${image.root}/`);

const isRoot = process.getuid?.() === 0;

function carryOut(
  image: Mutable<Image>,
  instruction: string,
  rest: string,
  { context, stages, env }: Surroundings,
): void {
  const words = (): string[] => JSON.parse(rest).map((word: string) => inside(image, word));
  switch (instruction) {
    case "WORKDIR":
      image.workdir = inside(image, rest);
      mkdirSync(image.workdir, { recursive: true });
      break;
    case "RUN": {
      // Only root can change owners.
      const command = isRoot ? rest : rest.replace(/ -o \d+ -g \d+/, "");
      runCommand(inside(image, command), { cwd: image.workdir, env });
      break;
    }
    case "COPY":
      copy(image, rest, context, stages);
      break;
    case "ENV":
      for (const [, name = "", value = ""] of rest.matchAll(/(\w+)=(\S+)/g)) {
        image.env = { ...image.env, [name]: inside(image, value) };
      }
      break;
    case "USER":
      image.user = rest;
      break;
    case "HEALTHCHECK":
      image.healthcheck = JSON.parse(rest.slice(rest.indexOf("[")));
      break;
    case "ENTRYPOINT":
      image.entrypoint = words();
      break;
    case "CMD":
      image.cmd = words();
      break;
    case "EXPOSE":
      break;
    default:
      throw new Error(`${instruction} is not supported here`);
  }
}

function runCommand(command: string, options: { cwd: string; env: NodeJS.ProcessEnv }): void {
  const { status, stderr } = spawnSync("sh", ["-ec", command], { ...options, encoding: "utf8" });
  if (status === 0) return;
  // If a registry lacks an optional package (such as mirrors without packages of other systems),
  // npm writes a lock file without it and then refuses that file:
  // https://github.com/npm/cli/issues/9846
  if (command.includes("npm ci ") && /Missing: \S+@ from lock file/.test(stderr))
    runCommand(command.replace("npm ci ", "npm install "), options);
  else throw new Error(`${command} failed:\n${stderr}`);
}

interface Surroundings {
  readonly context: string;
  readonly stages: ReadonlyMap<string, Image>;
  readonly env: NodeJS.ProcessEnv;
}

function copy(image: Image, rest: string, context: string, stages: Surroundings["stages"]): void {
  const [, from, paths = ""] = /^(?:--from=(\w+) )?(.*)$/.exec(rest) ?? [];
  const sources = paths.split(" ");
  const target = resolve(image.workdir, sources.pop() ?? "");
  if (from !== undefined) {
    const stage = stages.get(from);
    if (stage === undefined) throw new Error(`There is no stage ${from}`);
    // Moved, because it is large and no other stage needs it.
    for (const source of sources) renameSync(inside(stage, source), target);
    return;
  }
  const ignored = readFileSync(join(context, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const isSent = (path: string): boolean => {
    const name = relative(context, path);
    return name === "" || !ignored.some((pattern) => matchesGlob(name, pattern));
  };
  const found = sources.flatMap((source) =>
    source === "." ? ["."] : globSync(source, { cwd: context }),
  );
  // An engine accepts a pattern without matches, but refuses a missing name.
  for (const source of sources) {
    if (!source.includes("*") && !existsSync(join(context, source)))
      throw new Error(`COPY: there is no ${source}`);
  }
  for (const source of found) {
    const to = source === "." ? target : join(target, basename(source));
    cpSync(join(context, source), to, { ...symlinksToo, filter: isSent });
  }
}

const symlinksToo = { recursive: true, verbatimSymlinks: true } as const;
