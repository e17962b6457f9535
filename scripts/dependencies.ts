import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const source = resolve("packages/insulae/src");

/**
 * The rooms (layers) of the server, as in docs/architecture.md: each may import itself and those
 * before it. Files directly in `src/` are the package's entries.
 */
const rooms = [
  ...readFileSync("docs/architecture.md", "utf8").matchAll(/^\| `((?:[a-z-]+\/)+)` \|/gm),
].map(([, room = ""]) => room.slice(0, -1));

const roomOf = (file: string): string | undefined => {
  const folder = dirname(relative(source, file));
  return folder === "." ? "entries" : rooms.find((room) => `${folder}/`.startsWith(`${room}/`));
};

/** Tests and test helpers may also import the harness and whole apps. */
const isTest = (file: string): boolean =>
  /[.-](test|fixture)\.ts$/.test(file) || /\/(testing|test-server\.ts)/.test(file);

const featureOf = (file: string): string | undefined =>
  /^features\/([^/]+)\//.exec(relative(source, file))?.[1];

/** The paths of the files that a source file imports, without packages. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const specifiers = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+"(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gms,
  );
  return [...specifiers].map((match) => join(dirname(file), match[1] ?? match[2] ?? ""));
}

function problemOf(file: string, imported: string): string | undefined {
  const says = `${relative(".", file)} imports ${relative(".", imported)}`;
  const [from, to] = [roomOf(file), roomOf(imported)];
  if (from === undefined)
    return `${relative(".", file)} is not in any room of docs/architecture.md`;
  if (from !== to && from !== "entries" && !isTest(file)) {
    if (to === "entries" || rooms.indexOf(to ?? "") > rooms.indexOf(from)) {
      return `${says}: a room may import only those before it in docs/architecture.md`;
    }
  }
  const feature = featureOf(imported);
  if (feature && feature !== featureOf(file) && !imported.endsWith(".feature.ts")) {
    return `${says}: import a feature only through its *.feature.ts`;
  }
  return undefined;
}

/** The client must run without Node, and knows only the server's OpenAPI document. */
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

const consoleSource = resolve("packages/console/src");

/** A folder of the console that is a screen, or a group of them: `features/platform/tenants`. */
const screenOf = (file: string): string | undefined =>
  /^features\/(?:me|(?:platform|tenant)\/[^/]+)\//.exec(relative(consoleSource, file))?.[0];

/**
 * The console: `lib` stands alone, `ui` and `auth` on it, a screen's folder on those, and what puts it together
 * (`router.tsx`, the lists of screens) on all.
 */
function consoleProblemOf(file: string, imported: string): string | undefined {
  const [from = "", to = ""] = [file, imported].map(
    (path) => relative(consoleSource, path).split("/")[0] ?? "",
  );
  const says = `${relative(".", file)} imports ${relative(".", imported)}`;
  if (from === "lib" && to !== "lib") return `${says}: the console's lib stands alone`;
  if (/^(ui|auth)$/.test(from) && !/^(lib|ui|auth)$/.test(to)) {
    return `${says}: the console's ${from} knows no screens`;
  }
  const screen = screenOf(file);
  if (screen && to === "features" && screenOf(imported) !== screen) {
    return `${says}: no screen imports another's`;
  }
  return undefined;
}

const consoleProblems = (): (string | undefined)[] =>
  globSync("packages/console/src/**/*.{ts,tsx}").flatMap((file) =>
    importsOf(resolve(file)).map((imported) => consoleProblemOf(resolve(file), imported)),
  );

/** Imports that violate docs/architecture.md, and acceptance tests that import the server. */
export function dependencyProblems(): string[] {
  const inside = globSync("packages/insulae/src/**/*.ts").flatMap((file) =>
    importsOf(resolve(file)).map((imported) => problemOf(resolve(file), imported)),
  );
  const outside = globSync("{acceptance,examples}/**/*.ts", { exclude: ["**/node_modules/**"] })
    .flatMap((file) => importsOf(file).map((imported) => ({ file, imported })))
    .filter(({ imported }) => imported.startsWith("packages/"))
    .map(({ file, imported }) => `${file} imports ${imported}: it may import only what users can`);
  return [...inside, ...outside, ...clientProblems(), ...consoleProblems()].filter(
    (problem) => problem !== undefined,
  );
}
