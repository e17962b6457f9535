/**
 * What isolates the tenants of each placement, as PostgreSQL's catalogues say it, and what is wrong: the findings of
 * `app.isolation_problems`, which the server also checks before it starts. Changes nothing.
 */
import type { Kysely } from "kysely";
import type pg from "pg";
import { type Connect, withOwnerOnce } from "../engine/connect.ts";
import type { Placement } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { findProblemsOf, type IsolationProblem } from "../schema/isolation-check.ts";
import { asOwner } from "./main-server.ts";
import { byDatabase } from "./migrate-all.ts";
import { placementColumns, placementOf } from "./placements.ts";

export interface PlacementReport {
  readonly placement: Placement;
  /** Empty: the tenants here are isolated. */
  readonly problems: readonly IsolationProblem[];
  readonly tables: readonly IsolatedTable[];
  readonly roles: readonly IsolatingRole[];
  /** Why it could not be looked at. */
  readonly error?: unknown;
}

export interface IsolatedTable {
  readonly name: string;
  readonly enabled: boolean;
  readonly forced: boolean;
  readonly owner: string;
  /** The conditions of its permissive policies. */
  readonly policies: readonly string[];
}

/** A role that owns or uses the placement's tables. */
export interface IsolatingRole {
  readonly name: string;
  readonly owns_tables: boolean;
  readonly can_log_in: boolean;
  readonly superuser: boolean;
  readonly bypasses_row_security: boolean;
}

export interface ReportOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
}

/** A page of placements, by id. */
export type ReportIsolation = (page: {
  readonly after?: string | undefined;
  readonly limit: number;
}) => Promise<readonly PlacementReport[]>;

/** How many databases are looked at at the same time. */
const concurrency = 4;

export const createIsolationReport =
  ({ control, connect }: ReportOptions): ReportIsolation =>
  async ({ after, limit }) => {
    const placements = await pageOfPlacements(control, after, limit);
    const reports = new Map<string, PlacementReport>();
    const queue = byDatabase(placements).values();
    const worker = async () => {
      for (const together of queue) {
        for (const report of await reportOn(connect, together)) {
          reports.set(report.placement.id, report);
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return placements.flatMap(({ id }) => reports.get(id) ?? []);
  };

/** Placements by id, from the one after `after`. */
export async function pageOfPlacements(
  control: Kysely<ControlTables>,
  after: string | undefined,
  limit: number,
): Promise<readonly Placement[]> {
  const all = control.selectFrom("control.placements").select(placementColumns);
  const rows = await (after === undefined ? all : all.where("id", ">", after))
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map(placementOf);
}

/** @param together placements in the same database */
async function reportOn(
  connect: Connect,
  together: readonly Placement[],
): Promise<readonly PlacementReport[]> {
  const [first] = together;
  if (!first) return [];
  const schemas = together.map(({ schema }) => schema);
  try {
    return await withOwnerOnce(connect, first, (client) =>
      asOwner(client, async () => {
        const problems = await findProblemsOf(client, schemas);
        const found = await describe(client, schemas);
        return together.map((placement) => ({
          placement,
          problems: problems.get(placement.schema) ?? [],
          tables: found.get(placement.schema)?.tables ?? [],
          roles: found.get(placement.schema)?.roles ?? [],
        }));
      }),
    );
  } catch (error) {
    return together.map((placement) => ({ placement, problems: [], tables: [], roles: [], error }));
  }
}

interface Description extends Pick<PlacementReport, "tables" | "roles"> {
  readonly schema: string;
}

async function describe(client: pg.Client, schemas: readonly string[]) {
  const { rows } = await client.query<Description>(
    `select n.nspname as schema,
       (select coalesce(json_agg(json_build_object(
            'name', c.relname, 'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity,
            'owner', pg_get_userbyid(c.relowner),
            'policies', array(
              select pg_get_expr(p.polqual, c.oid) from pg_policy p
              where p.polrelid = c.oid and p.polpermissive order by p.polname)
          ) order by c.relname), '[]')
        from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p')) as tables,
       (select coalesce(json_agg(json_build_object(
            'name', r.rolname, 'can_log_in', r.rolcanlogin, 'superuser', r.rolsuper,
            'bypasses_row_security', r.rolbypassrls,
            'owns_tables', exists (
              select from pg_class c where c.relnamespace = n.oid and c.relowner = r.oid)
          ) order by r.rolname), '[]')
        from pg_roles r
        where r.rolname = 'insulae_data' or r.oid = n.nspowner
          or r.oid in (select (aclexplode(n.nspacl)).grantee)
          or r.oid in (select relowner from pg_class where relnamespace = n.oid)) as roles
     from pg_namespace n
     where n.nspname = any ($1)`,
    [schemas],
  );
  return new Map(rows.map((row) => [row.schema, row]));
}
