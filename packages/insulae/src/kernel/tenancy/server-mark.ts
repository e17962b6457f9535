/**
 * Which server of the list a main database is: the server's id, in a comment of its schema `app`. A URL
 * says only where a server is today; the mark goes with the data (a base backup, a dump) wherever they move.
 */
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { inTransaction, openClient } from "../engine/connect.ts";
import { ownerRole } from "../schema/roles.ts";

const prefix = "Insulae server ";

/** In a main database, as the administrator. @returns undefined where there is no mark, or no schema `app`. */
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
 * As the administrator in the main database of the server.
 *
 * @returns undefined where there is no such database.
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
