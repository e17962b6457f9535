/**
 * Features that a database was migrated by and the application lacks. Whoever runs the stock server, or another
 * application, on it by mistake would make tenants without their tables, and take versions back. A server that
 * migrates nothing starts nevertheless, as an older version has to while a newer one is rolled out; it makes no
 * schema and no database meanwhile.
 */
import type pg from "pg";
import { dataSchema } from "../engine/scope.ts";
import { readLedger } from "./ledger.ts";
import type { Migrations } from "./migration-files.ts";

/** The database has tables of features that the application neither loads nor calls retired. */
export class FeaturesMissing extends Error {
  override readonly name = "FeaturesMissing";

  constructor(features: readonly string[]) {
    const names = features.map((name) => `"${name}"`).join(", ");
    super(
      `The database has tables of features that this application lacks: ${names}. Nothing was changed.\n` +
        "If they belong to another application, work in its folder (the one with insulae.config.ts), or give --app <file>.\n" +
        `If this application had them once, tell it so: defineApp({ …, retired: [${names}] }).`,
    );
  }
}

/** @param client the owner, in a database with a pool. @throws FeaturesMissing */
export async function refuseForeignFeatures(
  client: pg.ClientBase,
  { features, retired }: Migrations,
): Promise<void> {
  const loaded = new Set(features.map(({ name }) => name));
  const found = new Set((await readLedger(client, dataSchema)).map(({ set }) => set));
  const foreign = [...found].filter((name) => !loaded.has(name) && !retired.has(name));
  if (foreign.length > 0) throw new FeaturesMissing(foreign);
}
