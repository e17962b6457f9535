/**
 * Kysely's PostgreSQL compiler, extended for updates and inserts without values, which
 * `onlyGiven({})` produces (an empty PATCH) and which would be syntax errors. Such an update
 * becomes a `select` that returns the same columns and locks the row; such an insert uses `default
 * values`.
 */
import {
  AliasNode,
  FromNode,
  type InsertQueryNode,
  PostgresQueryCompiler,
  SelectModifierNode,
  type SelectQueryNode,
  type UpdateQueryNode,
  ValuesNode,
} from "kysely";

export class QueryCompiler extends PostgresQueryCompiler {
  protected override visitInsertQuery(node: InsertQueryNode): void {
    const { columns, values, ...rest } = node;
    const isOneRow = values !== undefined && ValuesNode.is(values) && values.values.length === 1;
    const isEmpty = isOneRow && columns?.length === 0;
    super.visitInsertQuery(isEmpty ? { ...rest, defaultValues: true } : node);
  }

  protected override visitUpdateQuery(node: UpdateQueryNode): void {
    const { table, updates = [] } = node;
    if (table === undefined || updates.length > 0) super.visitUpdateQuery(node);
    else this.visitSelectQuery(selectOf(node, table));
  }
}

function selectOf(
  { with: before, from, joins, where, returning }: UpdateQueryNode,
  table: NonNullable<UpdateQueryNode["table"]>,
): SelectQueryNode {
  const name = AliasNode.is(table) ? table.alias : table;
  return {
    kind: "SelectQueryNode",
    from: FromNode.create([table, ...(from?.froms ?? [])]),
    endModifiers: [SelectModifierNode.create("ForNoKeyUpdate", [name])],
    ...(before && { with: before }),
    ...(joins && { joins }),
    ...(where && { where }),
    ...(returning && { selections: returning.selections }),
  };
}
