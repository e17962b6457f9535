/**
 * `src/lib/operations.gen.ts`: what each operation of the API needs, from the server's OpenAPI document. Run it to
 * write the file; `npm run check` fails while it is another.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { coreFeatures, standardFeatures } from "../../insulae/src/features/index.ts";
import { openApiDocument } from "../../insulae/src/kernel/http/api/openapi.ts";

const file = "packages/console/src/lib/operations.gen.ts";
const prefix = "/api/v1";

interface Operation {
  readonly "x-permission"?: string;
  readonly "x-personal"?: boolean;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

function source(): string {
  const { paths } = openApiDocument({
    features: [...coreFeatures, ...standardFeatures],
    version: "1",
    baseUrl: "http://localhost:8000",
  }) as unknown as { paths: Paths }; // OpenAPI has it
  const lines = Object.entries(paths)
    .filter(([path]) => path.startsWith(`${prefix}/`))
    .flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => {
        const personal = operation["x-personal"] ? " personal" : "";
        const needs = `${operation["x-permission"]}${personal}`;
        return `  ${JSON.stringify(`${method} ${path.slice(prefix.length)}`)}: ${JSON.stringify(needs)},`;
      }),
    );
  return `// Made by \`node packages/console/build/operations.ts\` from the server's routes.

/** The permission of each operation; \`personal\`: nobody may do it on somebody's behalf. */
export const operations = {
${lines.toSorted().join("\n")}
} as const;
`;
}

/** What is wrong with the file, if anything. */
export function operationsProblems(): string[] {
  return readFileSync(file, "utf8") === source()
    ? []
    : [`${file} is out of date: node packages/console/build/operations.ts`];
}

if (import.meta.main) writeFileSync(file, source());
