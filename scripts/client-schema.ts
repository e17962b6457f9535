/**
 * Generates `packages/client/src/schema.gen.ts` from the OpenAPI document of all features except
 * the dialects: the types, by openapi-typescript, and the data that the client needs at run time.
 * Run it to update the file; `npm run check` fails while it is out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import { apiPrefix } from "../packages/client/src/paths.ts";
import { coreFeatures, standardFeatures } from "../packages/insulae/src/features/index.ts";
import { openApiDocument } from "../packages/insulae/src/kernel/http/api/openapi.ts";

const file = "packages/client/src/schema.gen.ts";

interface Operation {
  readonly parameters?: readonly { readonly name?: string }[];
  readonly responses: object;
}
type Paths = Record<string, Record<string, Operation>>;

const mapValues = <From, To>(record: Record<string, From>, change: (value: From) => To) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

/** The API's paths, without errors: all are problems, and would be four fifths of the types. */
const relevant = (paths: Paths): Paths =>
  mapValues(
    Object.fromEntries(Object.entries(paths).filter(([path]) => path.startsWith(`${apiPrefix}/`))),
    (item) =>
      mapValues(item, ({ responses, ...operation }) => ({
        ...operation,
        responses: Object.fromEntries(
          Object.entries(responses).filter(([status]) => Number(status) < 400),
        ),
      })),
  );

/** The operations where a retry with the same key does not create a second resource. */
const createdOnce = (paths: Paths): string[] =>
  Object.entries(paths)
    .filter(([, { post }]) => post?.parameters?.some(({ name }) => name === "Idempotency-Key"))
    .map(([path]) => path.slice(apiPrefix.length));

/** @param document OpenAPI 3.1; paths outside `/api/v1` are omitted */
async function schemaSource(document: object): Promise<string> {
  const { paths, ...rest } = document as { paths: Paths }; // per OpenAPI
  const own = relevant(paths);
  // The document is ours; the server's tests validate it against OpenAPI's schema.
  const types = astToString(await openapiTS({ ...rest, paths: own } as unknown as OpenAPI3));
  return `// Made by \`node scripts/client-schema.ts\` from the server's routes.

/** Where \`POST\` takes an \`Idempotency-Key\`. */
export const createdOnce: ReadonlySet<string> = new Set(${JSON.stringify(createdOnce(own), null, 2)});

${types}`;
}

const source = (): Promise<string> =>
  schemaSource(
    openApiDocument({
      features: [...coreFeatures, ...standardFeatures],
      version: "1",
      baseUrl: "http://localhost:8000",
    }),
  );

export async function clientSchemaProblems(): Promise<string[]> {
  return readFileSync(file, "utf8") === (await source())
    ? []
    : [`${file} is out of date: node scripts/client-schema.ts`];
}

if (import.meta.main) writeFileSync(file, await source());
