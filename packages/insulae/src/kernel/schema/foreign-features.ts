/**
 * Detects features that a database has and the application lacks. Running the stock server, or
 * another application, on it by mistake would create tenants without those tables. A server that
 * doesn't migrate starts nevertheless, because during a rollout an older version runs beside a
 * newer one; it just creates no schemas and databases.
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
        "If they belong to another application, work in its folder (the one with insulae.config.ts), or pass --app <file>.\n" +
        `If this application used to have them, declare them retired: defineApp({ …, retired: [${names}] }).`,
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
