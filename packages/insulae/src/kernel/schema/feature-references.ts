/**
 * Finds features whose tables refer to those of a feature that is migrated after them. An existing
 * schema got both long ago, but in a new one the first migration fails.
 */
import type pg from "pg";
import type { Migrations } from "./migration-files.ts";

interface Reference {
  readonly referencing: string;
  readonly referenced: string;
}

/** @param client the owner, in the schema's database; not queried if no migration names such a table */
export async function referenceProblems(
  client: pg.ClientBase,
  schema: string,
  migrations: Migrations,
): Promise<readonly string[]> {
  const possible = tooEarly(migrations);
  if (possible.length === 0) return [];
  const owners = [...new Set(possible.map(({ feature }) => feature))];
  const tables = [...migrations.tables].filter(([, owner]) => owners.includes(owner));
  const { rows } = await client.query<Reference>(
    `select distinct r.relname::text as referencing, t.relname::text as referenced
     from unnest($2::text[]) as wanted (name)
     join pg_class r on r.relname = wanted.name and r.relnamespace = to_regnamespace($1)
     join pg_constraint c on c.conrelid = r.oid and c.contype = 'f'
     join pg_class t on t.oid = c.confrelid`,
    [schema, tables.map(([name]) => name)],
  );
  return possible.flatMap(({ feature, table, owner }) =>
    rows.some(
      ({ referencing, referenced }) =>
        referenced === table && migrations.tables.get(referencing) === feature,
    )
      ? [
          `the feature ${feature} refers to the table ${table} of the feature ${owner}, whose migrations run after ` +
            `its own, so no new schema could be migrated: add "${owner}" to the \`dependsOn\` of ${feature}`,
        ]
      : [],
  );
}

/** Tables of later features that a feature's migrations name. */
function tooEarly({ features, tables }: Migrations) {
  const place = new Map(features.map(({ name }, index) => [name, index]));
  return features.flatMap(({ name: feature, migrations }, index) => {
    const words = new Set(migrations.flatMap(({ up }) => up.match(/\w+/g) ?? []));
    return [...tables].flatMap(([table, owner]) =>
      (place.get(owner) ?? 0) > index && words.has(table) ? [{ feature, table, owner }] : [],
    );
  });
}
