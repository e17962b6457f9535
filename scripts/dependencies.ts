import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const source = resolve("packages/insulae/src");

/** What each part may import besides itself. Dependencies point one way. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  kernel: ["config"],
  features: ["kernel", "config"],
  dialects: ["features", "kernel", "config"],
  fleet: ["kernel", "config"],
  app: ["dialects", "features", "fleet", "kernel", "config"],
  index: ["app", "features", "kernel", "config"],
  testing: ["app", "features", "kernel", "config"],
  cli: ["app", "fleet", "features", "kernel", "config"],
  config: [],
};

const partOf = (file: string): string => relative(source, file).split(/[/.]/)[0] ?? "";

const featureOf = (file: string): string | undefined =>
  /^features\/([^/]+)\//.exec(relative(source, file))?.[1];

/** The files that a source file imports, by path; packages are left out. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const specifiers = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+"(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gms,
  );
  return [...specifiers].map((match) => join(dirname(file), match[1] ?? match[2] ?? ""));
}

function problemOf(file: string, imported: string): string | undefined {
  const [from, to] = [partOf(file), partOf(imported)];
  const says = `${relative(".", file)} imports ${relative(".", imported)}`;
  const isTest = file.endsWith(".test.ts");
  if (
    from !== to &&
    !(isTest && (to === "testing" || to === "app")) &&
    !allowed[from]?.includes(to)
  ) {
    return `${says}: ${from} may import ${allowed[from]?.join(", ") ?? "nothing that is known"}`;
  }
  const feature = featureOf(imported);
  if (feature && feature !== featureOf(file) && !imported.endsWith(".feature.ts")) {
    return `${says}: a feature is met through its *.feature.ts`;
  }
  return undefined;
}

/** Imports against the rules of docs/architecture.md, and acceptance tests that know the server. */
export function dependencyProblems(): string[] {
  const inside = globSync("packages/insulae/src/**/*.ts").flatMap((file) =>
    importsOf(resolve(file)).map((imported) => problemOf(resolve(file), imported)),
  );
  const outside = globSync("{acceptance,examples}/**/*.ts", { exclude: ["**/node_modules/**"] })
    .flatMap((file) => importsOf(file).map((imported) => ({ file, imported })))
    .filter(({ imported }) => imported.startsWith("packages/"))
    .map(({ file, imported }) => `${file} imports ${imported}: it may use only what users may`);
  return [...inside, ...outside].filter((problem) => problem !== undefined);
}
