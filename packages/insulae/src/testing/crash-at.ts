import pg from "pg";
import type { TestApp as App } from "./test-app.ts";

/**
 * Makes PostgreSQL refuse an operation on a table of the control plane while `work` runs, as if the
 * process had died there.
 *
 * @example
 * await crashAt(app, "insert", "memberships", async () => { … });
 */
export async function crashAt(
  { config }: Pick<App, "config">,
  event: "insert" | "update" | "delete",
  table: string,
  work: () => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString: config.databaseUrl });
  await client.connect();
  try {
    await client.query(`
      create function control.crash() returns trigger language plpgsql as
        $$ begin raise exception 'a crash'; end $$;
      create trigger crash before ${event} on control.${table}
        for each row execute function control.crash()`);
    await work().finally(() => client.query("drop function control.crash cascade"));
  } finally {
    await client.end();
  }
}
