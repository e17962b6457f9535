/** Checks that the constraints that features name (`constraints`) exist on their own tables. */
import type pg from "pg";
import { hint } from "../lib/declaration-error.ts";
import type { Migrations } from "./migration-files.ts";

export interface ConstraintProblem {
  readonly feature: string;
  readonly problem: string;
}

/**
 * Nothing to check on an additional server: it has no control plane, and the same tables as the
 * main one.
 *
 * @param client the owner, in the schema's database, with all migrations applied
 */
export async function constraintProblems(
  client: pg.ClientBase,
  schema: string,
  migrations: Migrations,
): Promise<readonly ConstraintProblem[]> {
  const named = [...migrations.constraints];
  if (named.length === 0 || !(await hasControlPlane(client))) return [];
  const tablesOf = await findConstraints(
    client,
    schema,
    named.map(([name]) => name),
  );
  const problems: ConstraintProblem[] = [];
  for (const [name, feature] of named) {
    const tables = tablesOf.get(name);
    const owners = tables?.map((table) => migrations.tables.get(table)) ?? [];
    if (!tables) {
      const known = await constraintsOf(client, schema, feature, migrations);
      problems.push({
        feature,
        problem:
          `the feature ${feature} names the constraint ${name}, which does not exist` +
          `${hint(name, known)}: correct its \`constraints\``,
      });
    } else if (tables.length > 0 && !owners.includes(feature)) {
      problems.push({
        feature,
        problem:
          `the feature ${feature} names the constraint ${name}, which is of the table ${tables[0]}: ` +
          `name it in the \`constraints\` of the feature ${owners[0] ?? "that lists this table"}`,
      });
    }
  }
  return problems;
}

async function hasControlPlane(client: pg.ClientBase): Promise<boolean> {
  const { rowCount } = await client.query("select from pg_namespace where nspname = 'control'");
  return rowCount === 1;
}

/**
 * The tables of constraints; for a foreign key both. Empty if the constraint is a domain's, raised
 * by a function (`raise … using constraint`), or in Insulae's own control plane.
 */
async function findConstraints(
  client: pg.ClientBase,
  schema: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ name: string; tables: string[] }>(
    `with spaces as (
       select oid, nspname = $1 as is_data from pg_namespace where nspname in ($1, 'control')
     ),
     found as (
       select c.conname as name, case when is_data then c.conrelid end as relation
       from spaces join pg_constraint c on c.connamespace = spaces.oid and c.conname = any ($2)
       union all
       select c.conname, case when is_data then c.confrelid end
       from spaces join pg_constraint c on c.connamespace = spaces.oid and c.conname = any ($2)
       union all
       select i.relname, case when is_data then x.indrelid end
       from spaces
       join pg_class i on i.relnamespace = spaces.oid and i.relname = any ($2)
       join pg_index x on x.indexrelid = i.oid and x.indisunique
       union all
       select wanted.name, null
       from unnest($2::name[]) as wanted (name)
       where exists (
         select from spaces join pg_proc p on p.pronamespace = spaces.oid
         where strpos(p.prosrc, wanted.name) > 0)
     )
     select name::text, array_remove(array_agg(distinct r.relname::text), null) as tables
     from found left join pg_class r on r.oid = relation
     group by name`,
    [schema, names],
  );
  return new Map(rows.map(({ name, tables }) => [name, tables]));
}

/** The constraints of the feature's tables. */
async function constraintsOf(
  client: pg.ClientBase,
  schema: string,
  feature: string,
  { tables }: Migrations,
): Promise<readonly string[]> {
  const own = [...tables].filter(([, owner]) => owner === feature).map(([table]) => table);
  const { rows } = await client.query<{ name: string }>(
    `with tables as (
       select oid from pg_class where relnamespace = to_regnamespace($1) and relname = any ($2)
     )
     select conname::text as name from tables join pg_constraint on conrelid = tables.oid
     union
     select relname::text
     from tables join pg_index on indrelid = tables.oid and indisunique
     join pg_class i on i.oid = indexrelid`,
    [schema, own],
  );
  return rows.map(({ name }) => name);
}
