/**
 * Kysely's compiler for PostgreSQL, with one thing more: an update that sets nothing. Of `set(onlyGiven({}))`, as a
 * `PATCH {}` has it, it would make `update tasks set where …`, a syntax error. There is nothing to change, so it
 * becomes a `select` that gives what the update would have returned, and locks the row as an update does.
 */
import {
  AliasNode,
  FromNode,
  PostgresQueryCompiler,
  SelectModifierNode,
  type SelectQueryNode,
  type UpdateQueryNode,
} from "kysely";

export class QueryCompiler extends PostgresQueryCompiler {
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
