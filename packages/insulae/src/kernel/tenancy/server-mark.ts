/**
 * Identifies which listed server a main database is, by the server's id in a comment on its schema
 * `app`. A URL only says where a server is today; the mark travels with the data (a base backup, a
 * dump).
 */
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { inTransaction, openClient } from "../engine/connect.ts";
import { ownerRole } from "../schema/roles.ts";

const prefix = "Insulae server ";

/**
 * Call as the administrator in a main database. @returns undefined without a mark or schema `app`
 */
export async function readMark(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string | null }>(
    `select substr(mark, length($1) + 1) as id
     from obj_description(to_regnamespace('app'), 'pg_namespace') mark
     where starts_with(mark, $1)`,
    [prefix],
  );
  return rows[0]?.id ?? undefined;
}

export const writeMark = (client: pg.Client, id: string): Promise<unknown> =>
  inTransaction(client, () =>
    client.query(
      `set local role ${ownerRole}; comment on schema app is ${pg.escapeLiteral(prefix + id)}`,
    ),
  );

/**
 * Runs `fn` as the administrator in the server's main database.
 *
 * @returns undefined if there is no such database
 */
export async function inMainDatabase<Result>(
  url: string,
  database: string,
  fn: (client: pg.Client) => Promise<Result>,
): Promise<Result | undefined> {
  const client = await openClient({ ...parseIntoClientConfig(url), database }).catch(
    (error: unknown) => {
      if ((error as { code?: unknown }).code === "3D000") return undefined;
      throw error;
    },
  );
  if (!client) return undefined;
  try {
    return await fn(client);
  } finally {
    void client.end().catch(() => undefined);
  }
}
