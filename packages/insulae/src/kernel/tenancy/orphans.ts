import { type Kysely, sql } from "kysely";
import type pg from "pg";
import { dataSchema } from "../engine/scope.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { schemaMark } from "../schema/roles.ts";
import { isLocked, tenantMark } from "./physical.ts";
import { findPlacement, type Place, placementColumns, placementOf } from "./placements.ts";

/**
 * Finds leftovers of crashes on one server: databases and schemas of this installation without a
 * row, and rows without a tenant for over a quarter of an hour. Places being created or removed, and
 * those of moves that have not ended, are skipped.
 *
 * @param client the administrator, in the server's main database
 */
export async function findOrphans(
  client: pg.Client,
  control: Kysely<ControlTables>,
  serverId: string,
  mainDatabase: string,
): Promise<readonly Place[]> {
  const orphans: Place[] = [];
  const found = await listPhysical(client, serverId, mainDatabase);
  const known = await control
    .selectFrom("control.placements")
    .select(["database", "schema"])
    .where("server_id", "=", serverId)
    .execute();
  const names = new Set(known.map(nameOfPlace));
  for (const place of found.filter((each) => !names.has(nameOfPlace(each)))) {
    // In this order, because the row is written before the lock is released.
    if (await isLocked(client, place)) continue;
    if (!(await findPlacement(control, place))) orphans.push(place);
  }
  return [...orphans, ...(await listUnused(control, serverId))];
}

const nameOfPlace = ({ database, schema }: Pick<Place, "database" | "schema">): string =>
  `${database}.${schema}`;

async function listPhysical(
  client: pg.Client,
  serverId: string,
  mainDatabase: string,
): Promise<readonly Place[]> {
  const { rows } = await client.query<Pick<Place, "database" | "schema" | "isolation">>(
    `select rolname as database, $2::text as schema, 'database' as isolation
     from pg_roles
     where shobj_description(oid, 'pg_authid') = $3
     union all
     select $1, nspname, 'schema'
     from pg_namespace
     where pg_get_userbyid(nspowner) = 'insulae_owner'
       -- pgboss held the jobs until control/0028; it is no orphan in a database that waits for it.
       and nspname not in ('app', 'control', 'data', 'pgboss')
     union
     -- A schema's role comes before the schema.
     select $1, schema, 'schema'
     from pg_roles
     cross join substr(shobj_description(oid, 'pg_authid'), length($4) + 1) as schema
     where starts_with(shobj_description(oid, 'pg_authid'), $4)
       and rolname = app.schema_user(schema)`,
    [mainDatabase, dataSchema, tenantMark(mainDatabase), schemaMark(mainDatabase)],
  );
  return rows.map((row) => ({ serverId, ...row }));
}

async function listUnused(
  control: Kysely<ControlTables>,
  serverId: string,
): Promise<readonly Place[]> {
  const rows = await control
    .selectFrom("control.placements as p")
    .leftJoin("control.tenants as t", "t.placement_id", "p.id")
    .select(placementColumns.map((name) => `p.${name}` as const))
    .where("p.server_id", "=", serverId)
    .where("p.isolation", "<>", "pool")
    .where("t.id", "is", null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("control.moves as m")
            .select("m.id")
            .where("m.state", "not in", ["done", "aborted"])
            .where(sql<boolean>`p.id in (m.from_placement, m.to_placement)`),
        ),
      ),
    )
    .where("p.created_at", "<", sql<Date>`now() - interval '15 minutes'`)
    .execute();
  return rows.map(placementOf);
}
