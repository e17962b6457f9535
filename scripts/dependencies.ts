import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const source = resolve("packages/insulae/src");

/**
 * What each part may import besides itself. Dependencies point one way. The files that stand beside
 * `app.ts` put the parts together, and belong to it.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  config: [],
  kernel: ["config"],
  features: ["kernel", "config"],
  dialects: ["features", "kernel", "config"],
  pages: ["kernel", "config"],
  app: ["pages", "dialects", "features", "kernel", "config"],
  index: ["app", "dialects", "features", "kernel", "config"],
  testing: ["app", "features", "kernel", "config"],
  cli: ["app", "features", "kernel", "config"],
};

/** Tests, and what only they use, may also use the harness and whole apps. */
const isTest = (file: string): boolean => /[.-](test|fixture)\.ts$/.test(file);
const allowedInTests = ["testing", "app", "index", "dialects", "features", "kernel", "config"];

const partOf = (file: string): string => {
  const [first = "", ...rest] = relative(source, file).split("/");
  const name = first.replace(/\..*$/, "");
  return rest.length > 0 || name in allowed ? name : "app";
};

/** Of `kernel/http`: each imports only those before it. */
const httpRooms = "state sockets body reply api idempotency limits request server".split(" ");
const httpRoomOf = (file: string): number =>
  httpRooms.indexOf(/^kernel\/http\/([^/]+)\//.exec(relative(source, file))?.[1] ?? "");

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
  const may = isTest(file) ? allowedInTests : (allowed[from] ?? []);
  if (from !== to && !may.includes(to)) {
    return `${says}: ${from} may import ${may.join(", ") || "nothing else"}`;
  }
  if (!isTest(file) && httpRoomOf(file) >= 0 && httpRoomOf(file) < httpRoomOf(imported)) {
    return `${says}: a room of kernel/http imports only those before it: ${httpRooms.join(", ")}`;
  }
  const feature = featureOf(imported);
  if (feature && feature !== featureOf(file) && !imported.endsWith(".feature.ts")) {
    return `${says}: a feature is met through its *.feature.ts`;
  }
  return undefined;
}

/** The client runs where there is no Node, and knows no more of the server than its OpenAPI document. */
const clientMay = /^(\.\/[^/]+|openapi-fetch|openapi-typescript-helpers)$/;

const clientProblems = (): string[] =>
  globSync("packages/client/src/*.ts")
    .filter((file) => !isTest(file))
    .flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"/gms)]
        .map(([, specifier = ""]) => specifier)
        .filter((specifier) => !clientMay.test(specifier))
        .map(
          (specifier) => `${file} imports ${specifier}: the client stands on openapi-fetch alone`,
        ),
    );

/** Imports against the rules of docs/architecture.md, and acceptance tests that know the server. */
export function dependencyProblems(): string[] {
  const inside = globSync("packages/insulae/src/**/*.ts").flatMap((file) =>
    importsOf(resolve(file)).map((imported) => problemOf(resolve(file), imported)),
  );
  const outside = globSync("{acceptance,examples}/**/*.ts", { exclude: ["**/node_modules/**"] })
    .flatMap((file) => importsOf(file).map((imported) => ({ file, imported })))
    .filter(({ imported }) => imported.startsWith("packages/"))
    .map(({ file, imported }) => `${file} imports ${imported}: it may use only what users may`);
  return [...inside, ...outside, ...clientProblems()].filter((problem) => problem !== undefined);
}
