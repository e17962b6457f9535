/**
 * What may not happen to a table, tried: as the application's log-in in the scope of one tenant, with a
 * row of another one there. Everything is rolled back to where it began.
 */
import type pg from "pg";
import { appRole, ownerRole } from "../kernel/schema/roles.ts";
import { type ProvenTable, quote } from "./tables.ts";

export const probeNames = [
  "own rows are seen",
  "another's rows are not seen",
  "no rows are seen without a scope",
  "another's row is not changed",
  "another's row is not deleted",
  "a row is not given to another",
  "a row is not written for another",
  "the owner of the table is held as well",
  "two tenants may have the same values",
] as const;
export type ProbeName = (typeof probeNames)[number];

export interface Tenants {
  readonly own: string;
  readonly other: string;
}

/** The probes that fail. @param first stops at the first one */
export async function probe(
  client: pg.Client,
  table: ProvenTable,
  { own, other }: Tenants,
  first = false,
): Promise<readonly ProbeName[]> {
  const { label, columns } = table;
  const names = columns.map(({ name }) => quote(name)).join(", ");
  const copied = columns
    .map(({ name }) => (name === "tenant_id" ? "$2::uuid" : `r.${quote(name)}`))
    .join(", ");
  /** A copy of the row `$1` for the tenant `$2`. */
  const insert = `insert into ${label} (${names})
    select ${copied} from jsonb_populate_record(null::${label}, $1::jsonb) as r`;
  const rowOf = async (tenant: string): Promise<string> => {
    const { rows } = await tried(client, ownerRole, tenant, [
      `select to_jsonb(t) as row from ${label} t where tenant_id = $1`,
      [tenant],
    ]);
    return JSON.stringify(rows?.[0]?.row);
  };
  const asApp = (scope: string, ...statement: Statement) =>
    tried(client, appRole, scope, statement);
  const tries: Readonly<Record<ProbeName, () => Promise<boolean>>> = {
    "own rows are seen": async () => {
      const { count, error } = await asApp(own, `select from ${label}`, []);
      // Where the application may not read at all, it sees nobody's.
      return error === noPrivilege || count > 0;
    },
    "another's rows are not seen": async () => {
      const { count } = await asApp(own, `select from ${label} where tenant_id = $1`, [other]);
      return count === 0;
    },
    "no rows are seen without a scope": async () =>
      (await asApp("", `select from ${label}`, [])).count === 0,
    "another's row is not changed": async () => {
      const text = `update ${label} set tenant_id = tenant_id where tenant_id = $1`;
      return (await asApp(own, text, [other])).count === 0;
    },
    "another's row is not deleted": async () =>
      (await asApp(own, `delete from ${label} where tenant_id = $1`, [other])).count === 0,
    "a row is not given to another": async () => {
      const text = `update ${label} set tenant_id = $2 where tenant_id = $1`;
      return (await asApp(own, text, [own, other])).count === 0;
    },
    "a row is not written for another": async () => {
      const { error } = await asApp(own, insert, [await rowOf(own), other]);
      // A violated key would tell that the other tenant has that row.
      return error === noPrivilege;
    },
    "the owner of the table is held as well": async () => {
      const text = `select from ${label} where tenant_id = $1`;
      return (await tried(client, ownerRole, own, [text, [other]])).count === 0;
    },
    "two tenants may have the same values": async () => {
      const row = await rowOf(other);
      await client.query("savepoint same");
      try {
        await client.query(`alter table ${label} disable trigger user`);
        await client.query("select set_config('app.current_tenant_id', $1, true)", [own]);
        await client.query(`delete from ${label} where tenant_id = $1`, [own]);
        await client.query(insert, [row, own]);
        return true;
      } catch (error) {
        return (error as { code?: string }).code !== "23505";
      } finally {
        await client.query("rollback to savepoint same");
      }
    },
  };
  const failed: ProbeName[] = [];
  for (const name of probeNames) {
    if (await tries[name]()) continue;
    failed.push(name);
    if (first) break;
  }
  return failed;
}

/** insufficient_privilege: of the table, or by a policy. */
const noPrivilege = "42501";

type Statement = readonly [text: string, values: readonly unknown[]];

interface Tried {
  /** Rows found or changed. */
  readonly count: number;
  readonly rows?: readonly Record<string, unknown>[];
  /** The SQLSTATE of a refusal. */
  readonly error?: string | undefined;
}

async function tried(
  client: pg.Client,
  role: string,
  scope: string,
  [text, values]: Statement,
): Promise<Tried> {
  await client.query("savepoint tried");
  try {
    await client.query(`set local role ${role}`);
    await client.query("select set_config('app.current_tenant_id', $1, true)", [scope]);
    const { rowCount, rows } = await client.query(text, [...values]);
    return { count: rowCount ?? 0, rows };
  } catch (error) {
    return { count: 0, error: (error as { code?: string }).code };
  } finally {
    await client.query("rollback to savepoint tried");
  }
}
