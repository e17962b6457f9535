/**
 * Shows on two tenants that are there that neither reaches the other's rows. Each probe is a fixed statement, run as
 * any statement of a handler is: by the same login, over a lane, in a tenant's scope; one more is run with no scope at
 * all. Nothing is changed: the one write is expected to be refused, and is rolled back if it is not.
 *
 * A probe reads at most 1,000 rows by an index, and gives numbers of rows, never a row.
 */
import { CompiledQuery } from "kysely";
import pg from "pg";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { StatementResult } from "../engine/batch.ts";
import type { Broker } from "../engine/broker.ts";
import { isDatabaseError } from "../engine/errors.ts";
import type { Placement, Tenant } from "../model/tenant.ts";

/** In whose scope a probe ran: the first tenant's, the second's, nobody's. */
export type ProbeScope = "a" | "b" | "none";

export interface Probe {
  readonly name: string;
  readonly sql: string;
  readonly parameters: readonly string[];
  readonly scope: ProbeScope;
  readonly placement: Placement;
  /** How many rows it saw or wrote, at most 1,000; undefined: PostgreSQL refused the statement. */
  readonly rows?: number;
  /** How PostgreSQL refused it. */
  readonly sqlstate?: string;
  readonly message?: string;
  readonly passed: boolean;
  readonly explanation: string;
}

/** What PostgreSQL says of the table, in one placement. */
export interface TablePolicy {
  readonly placement: Placement;
  readonly table: string;
  readonly policies: readonly {
    readonly name: string;
    readonly permissive: boolean;
    readonly command: string;
    readonly using: string | null;
    readonly with_check: string | null;
  }[];
  readonly enabled: boolean;
  readonly forced: boolean;
  readonly owner: string;
  /** The role that statements of the placement's tenants run as. */
  readonly role: string;
  readonly bypasses: boolean;
  readonly passed: boolean;
}

export interface ProbeResult {
  readonly passed: boolean;
  readonly probes: readonly Probe[];
  readonly policies: readonly TablePolicy[];
}

export interface ProbesOptions {
  readonly broker: Pick<Broker, "lease">;
  readonly databaseOf: (tenant: Tenant) => TenantDatabase<Record<never, never>>;
  /** The table that is looked at, and the column without a default that a row of it needs. */
  readonly table: { readonly name: string; readonly column: string };
}

export type ProbeIsolation = (a: Tenant, b: Tenant) => Promise<ProbeResult>;

const mostRows = 1_000;
const refused = "42501";
const isolating = "(tenant_id = app.current_tenant_id())";

export function createIsolationProbes(options: ProbesOptions): ProbeIsolation {
  const { databaseOf, table } = options;
  const tableOf = ({ schema }: Placement) =>
    `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table.name)}`;
  const countIn = (placement: Placement) =>
    `select count(*)::int as rows, array_agg(distinct tenant_id)::text[] as tenants
from (select tenant_id from ${tableOf(placement)} limit ${mostRows}) as visible`;
  const othersIn = (placement: Placement) =>
    `select count(*)::int as rows
from (select from ${tableOf(placement)} where tenant_id = $1 limit ${mostRows}) as theirs`;
  const writeIn = (placement: Placement) =>
    `insert into ${tableOf(placement)} (tenant_id, ${table.column}) values ($1, 'isolation probe')`;

  const countOwn = async (scope: "a" | "b", tenant: Tenant): Promise<Probe> => {
    const { placement } = tenant;
    const sql = countIn(placement);
    const found = await databaseOf(tenant).query<{ rows: number; tenants: string[] | null }>(sql);
    const { rows = 0, tenants } = found[0] ?? {};
    return {
      ...{ name: `count_in_${scope}`, sql, parameters: [], scope, placement, rows },
      passed: (tenants ?? []).every((id) => id === tenant.id),
      explanation: `In the scope of ${tenant.key}, every visible row is a row of ${tenant.key}.`,
    };
  };

  /** Counts the other's rows by their tenant's id. Where the placements differ, they are not there at all. */
  const countOthers = async (scope: "a" | "b", tenant: Tenant, other: Tenant): Promise<Probe> => {
    const { placement } = tenant;
    const [sql, parameters] = [othersIn(placement), [other.id]];
    const found = await databaseOf(tenant).query<{ rows: number }>(sql, parameters);
    const rows = found[0]?.rows ?? 0;
    return {
      ...{ name: `read_other_in_${scope}`, sql, parameters, scope, placement, rows },
      passed: rows === 0,
      explanation: `In the scope of ${tenant.key}, rows of ${other.key} can't be read, even by their tenant_id.`,
    };
  };

  const countWithoutScope = async (name: string, { placement }: Tenant): Promise<Probe> => {
    const sql = countIn(placement);
    const outcome = await outcomeOf(async () => {
      const { rows } = await runWithoutScope(options.broker, placement, sql);
      return Number(rows[0]?.rows ?? 0);
    });
    return {
      ...{ name, sql, parameters: [], scope: "none" as const, placement, ...outcome },
      passed: outcome.rows === 0 || outcome.sqlstate === refused,
      explanation:
        placement.isolation === "schema"
          ? "Without a scope, the login of the application may not use a tenant's own schema."
          : "Without a scope, the login of the application sees no row.",
    };
  };

  const writeForOther = async (tenant: Tenant, other: Tenant): Promise<Probe> => {
    const { placement } = tenant;
    const [sql, parameters] = [writeIn(placement), [other.id]];
    const outcome = await outcomeOf(async () => {
      await databaseOf(tenant)
        .transaction()
        .execute(async (tx) => {
          await tx.executeQuery(CompiledQuery.raw(sql, parameters));
          throw new Accepted();
        })
        .catch((error: unknown) => {
          if (!(error instanceof Accepted)) throw error;
        });
      return 1;
    });
    return {
      ...{ name: "write_other_in_b", sql, parameters, scope: "b" as const, placement, ...outcome },
      passed: outcome.sqlstate === refused,
      explanation: `In the scope of ${tenant.key}, a row of ${other.key} can't be written. It would have been rolled back.`,
    };
  };

  const policyOf = async (tenant: Tenant): Promise<TablePolicy> => {
    const { placement } = tenant;
    const [found] = await databaseOf(tenant).query<Omit<TablePolicy, "placement" | "passed">>(
      policyQuery,
      [tableOf(placement)],
    );
    if (!found) throw new Error(`${tableOf(placement)} is missing`);
    const { policies, enabled, forced, owner, role, bypasses } = found;
    const permissive = policies.filter((policy) => policy.permissive);
    const passed =
      enabled &&
      forced &&
      !bypasses &&
      owner !== role &&
      permissive.length > 0 &&
      permissive.every(
        ({ command, using, with_check }) =>
          command === "ALL" && using === isolating && with_check === isolating,
      );
    return { ...found, placement, passed };
  };

  return async (a, b) => {
    const isShared = a.placement.id === b.placement.id;
    const probes = [
      await countOwn("a", a),
      await countOwn("b", b),
      await countWithoutScope("count_without_scope", a),
      ...(isShared ? [] : [await countWithoutScope("count_without_scope_at_b", b)]),
      await countOthers("b", b, a),
      await countOthers("a", a, b),
      await writeForOther(b, a),
    ];
    const policies = [await policyOf(a), ...(isShared ? [] : [await policyOf(b)])];
    return { passed: [...probes, ...policies].every(({ passed }) => passed), probes, policies };
  };
}

/** PostgreSQL took the write that it should have refused; ends its transaction. */
class Accepted extends Error {
  override readonly name = "Accepted";
}

type Outcome = Pick<Probe, "rows" | "sqlstate" | "message">;

async function outcomeOf(run: () => Promise<number>): Promise<Outcome> {
  try {
    return { rows: await run() };
  } catch (error) {
    if (!isDatabaseError(error) || error.code === undefined) throw error;
    return { sqlstate: error.code, message: error.message };
  }
}

/** As the login of the application, on a connection that has entered no scope. Handlers have no way to do this. */
async function runWithoutScope(
  broker: ProbesOptions["broker"],
  { serverId, database }: Placement,
  text: string,
): Promise<StatementResult> {
  const lease = await broker.lease({ serverId, database, role: "app" });
  try {
    return await new Promise((resolve, reject) => {
      lease.session.submit(
        { text, values: [], scope: undefined, schema: "", rows: "objects", readOnly: true },
        (error, result) => (result === undefined ? reject(error) : resolve(result)),
      );
    });
  } finally {
    lease.release();
  }
}

const policyQuery = `
  select n.nspname || '.' || c.relname as table, c.relrowsecurity as enabled,
    c.relforcerowsecurity as forced, pg_get_userbyid(c.relowner)::text as owner,
    current_user::text as role,
    r.rolsuper or r.rolbypassrls or pg_has_role(current_user, c.relowner, 'member') as bypasses,
    coalesce((
      select jsonb_agg(jsonb_build_object(
        'name', p.policyname, 'permissive', p.permissive = 'PERMISSIVE', 'command', p.cmd,
        'using', p.qual, 'with_check', p.with_check) order by p.policyname)
      from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname
    ), '[]') as policies
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.rolname = current_user
  where c.oid = to_regclass($1)`;
