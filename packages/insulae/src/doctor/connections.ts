import type pg from "pg";
import { type Check, failure, ok } from "./check.ts";

/**
 * Whether this process's connection budget fits what the server allows. Other nodes need theirs
 * too.
 */
export async function checkConnections(
  client: pg.Client,
  server: string,
  budget: number,
): Promise<Check> {
  const name = server === "main" ? "connections" : `connections of ${server}`;
  const { rows } = await client.query<{ room: number }>(
    `select current_setting('max_connections')::integer
       - current_setting('superuser_reserved_connections')::integer
       - coalesce(current_setting('reserved_connections', true)::integer, 0) as room`,
  );
  const room = rows[0]?.room ?? 0;
  const message = `DB_CONNECTIONS is ${budget}, and the server allows ${room}`;
  if (budget <= room) return ok(name, message);
  return failure(name, message, "lower DB_CONNECTIONS or raise max_connections");
}
