/**
 * `packages/client/src/schema.gen.ts`, made from the OpenAPI document of all features but the dialects.
 * Run it to write the file; `npm run check` and the client's tests fail while it is another.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { schemaSource } from "../packages/client/scripts/generate-schema.ts";
import { coreFeatures, standardFeatures } from "../packages/insulae/src/features/index.ts";
import { openApiDocument } from "../packages/insulae/src/kernel/http/openapi.ts";

const file = "packages/client/src/schema.gen.ts";

const source = (): Promise<string> =>
  schemaSource(
    openApiDocument({
      features: [...coreFeatures, ...standardFeatures],
      version: "1",
      baseUrl: "http://localhost:8000",
    }),
  );

/** What is wrong with the file, if anything. */
export async function clientSchemaProblems(): Promise<string[]> {
  return readFileSync(file, "utf8") === (await source())
    ? []
    : [`${file} is out of date: node scripts/client-schema.ts`];
}

if (import.meta.main) writeFileSync(file, await source());
