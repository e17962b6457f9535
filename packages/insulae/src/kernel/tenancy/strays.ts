/**
 * Finds data of tenants that no longer exist or are placed elsewhere. A sound installation has
 * none, because an erasure checks each place (`data-places.ts`). These functions search from the
 * other side, for data that came back by hand, by a restore or by a late statement. They read
 * indexes, one step per tenant in a table, and change nothing.
 */
import { type Kysely, type RawBuilder, sql } from "kysely";
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import { platformQueue } from "../jobs/queue-names.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { listTablesOf } from "../schema/data-tables.ts";
import type { Storage } from "../storage/storage.ts";
import { tablesByTenant } from "./control-places.ts";
import { asOwnerOf, listTables, qualified } from "./tenant-rows.ts";

export interface Stray {
  /** `data.contacts`, `control.mails`, `queue`, `files`. */
  readonly where: string;
  /** The first few. */
  readonly tenantIds: readonly string[];
}

type Control = Kysely<ControlTables>;

/** Limits: tenants examined per table, and strays reported. */
const mostTenants = 100_000;
const mostNamed = 10;
/** How many tenants to probe one by one, if the administrator can't see rows itself. */
const mostProbed = 1_000;

/**
 * Finds rows in placements' schemas of tenants that are not placed there. A superuser (or a role
 * with BYPASSRLS) sees all rows. Any other administrator probes for known tenants in their scopes:
 * the latest thousand that were deleted or are placed elsewhere, and in pools only.
 *
 * @param client the administrator, in the placements' database
 */
export async function findStrayRows(
  client: pg.ClientBase,
  control: Control,
  placements: readonly Placement[],
): Promise<readonly Stray[]> {
  if (placements.length === 0) return [];
  const { rows } = await client.query<{ sees: boolean }>(
    "select rolsuper or rolbypassrls as sees from pg_roles where rolname = current_user",
  );
  const strays: Stray[] = [];
  for (const placement of placements.filter(({ isolation }) => isolation === "pool")) {
    const tables = await listTables(client, placement.schema);
    const find = rows[0]?.sees ? findByIndex : findByAsking;
    strays.push(...(await find(client, control, placement, tables)));
  }
  if (!rows[0]?.sees) return strays;
  const own = placements.filter(({ isolation }) => isolation !== "pool");
  for (const [placement, tables] of await findHeld(client, control, own)) {
    strays.push(...(await findByIndex(client, control, placement, tables)));
  }
  return strays;
}

/**
 * The tables with rows of other tenants than the one placed there; of a thousand schemas hardly
 * any. One statement per schema that has rows at all: a table without rows has an empty file.
 */
async function findHeld(
  client: pg.ClientBase,
  control: Control,
  placements: readonly Placement[],
): Promise<readonly (readonly [Placement, readonly string[]])[]> {
  const { rows: tenants } = await sql<{ id: TenantId; placement: string }>`
    select id, placement_id as placement from control.tenants
    where placement_id = any(${placements.map(({ id }) => id)})`.execute(control);
  const owners = new Map(tenants.map(({ id, placement }) => [placement, id]));
  const filled = await listFilled(
    client,
    placements.map(({ schema }) => schema),
  );
  const held: (readonly [Placement, readonly string[]])[] = [];
  for (const placement of placements) {
    const owner = owners.get(placement.id) ?? nobody;
    const probes = filled.get(placement.schema)?.map(
      (table) => `
        select ${pg.escapeLiteral(table)} as name
        where exists (select from ${table} where tenant_id < '${owner}')
          or exists (select from ${table} where tenant_id > '${owner}')`,
    );
    if (!probes) continue;
    const { rows } = await inTransaction(client, async () => {
      await client.query("set transaction read only; set local enable_seqscan = off");
      return client.query<{ name: string }>(probes.join(" union all "));
    });
    if (rows.length > 0) held.push([placement, rows.map(({ name }) => name)]);
  }
  return held;
}

/**
 * The tables of each schema whose files are not empty (a partitioned table has none). Asks for the
 * file, not its size: for that, PostgreSQL would load the table's whole catalogue entry (130 kB
 * each).
 */
async function listFilled(
  client: pg.ClientBase,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const tables = [...(await listTablesOf(client, schemas))].flatMap(([schema, names]) =>
    names.map((name) => ({ schema, table: qualified(schema, name) })),
  );
  const { rows } = await client.query<{ table: string }>(
    `select name as table
     from unnest($1::text[]) as name
     join pg_class c on c.oid = to_regclass(name)
     where c.relkind = 'p' or case
       when has_function_privilege('pg_stat_file(text, boolean)', 'execute')
       then (pg_stat_file(pg_relation_filepath(c.oid), true)).size
       else pg_relation_size(c.oid)
     end > 0`,
    [tables.map(({ table }) => table)],
  );
  const filled = new Set(rows.map(({ table }) => table));
  const found = Map.groupBy(
    tables.filter(({ table }) => filled.has(table)),
    ({ schema }) => schema,
  );
  return new Map([...found].map(([schema, list]) => [schema, list.map(({ table }) => table)]));
}

/** Sorts before every tenant. */
const nobody = "00000000-0000-0000-0000-000000000000";

async function findByIndex(
  client: pg.ClientBase,
  control: Control,
  { id }: Placement,
  tables: readonly string[],
): Promise<readonly Stray[]> {
  const strays: Stray[] = [];
  for (const table of tables) {
    const present = await inTransaction(client, async () => {
      await client.query("set transaction read only; set local enable_seqscan = off");
      // A loose index scan: one probe per tenant present.
      const { rows } = await client.query<{ id: TenantId }>(
        `with recursive present as (
           (select tenant_id as id from ${table} order by tenant_id limit 1)
           union all
           select (
             select held.tenant_id from ${table} as held
             where held.tenant_id > present.id order by held.tenant_id limit 1)
           from present
           where present.id is not null
         )
         select id from present where id is not null limit ${mostTenants}`,
      );
      return rows.map((row) => row.id);
    });
    const { rows } = await sql<{ id: string }>`
      select present.id from unnest(${present}::uuid[]) as present (id)
      where not exists (
        select from control.tenants where tenants.id = present.id and tenants.placement_id = ${id})
        and not ${isMoved(sql.ref("present.id"), id)}
      limit ${mostNamed}`.execute(control);
    if (rows.length > 0) strays.push({ where: plain(table), tenantIds: rows.map((row) => row.id) });
  }
  return strays;
}

async function findByAsking(
  client: pg.ClientBase,
  control: Control,
  { id: placementId }: Placement,
  tables: readonly string[],
): Promise<readonly Stray[]> {
  if (tables.length === 0) return [];
  const { rows: absent } = await sql<{ id: TenantId }>`
    select id from control.tenants
    where placement_id is distinct from ${placementId} and status <> 'provisioning'
      and not ${isMoved(sql.ref("tenants.id"), placementId)}
    order by coalesce(deleted_at, updated_at) desc
    limit ${mostProbed}`.execute(control);
  const found = new Map<string, string[]>();
  const probes = tables.map(
    (table) => `select ${pg.escapeLiteral(table)} as name where exists (select from ${table})`,
  );
  for (const { id } of absent) {
    const { rows } = await asOwnerOf(client, id, () =>
      client.query<{ name: string }>(probes.join(" union all ")),
    );
    for (const { name } of rows) found.set(name, [...(found.get(name) ?? []), id]);
  }
  return [...found].map(([table, ids]) => ({
    where: plain(table),
    tenantIds: ids.slice(0, mostNamed),
  }));
}

/** A move copies the tenant's rows to the placement, or keeps them there. */
const isMoved = (tenant: RawBuilder<unknown>, placementId: string) => sql`exists (
  select from control.moves m
  where m.tenant_id = ${tenant} and m.state not in ('done', 'aborted')
    and ${placementId}::uuid in (m.from_placement, m.to_placement))`;

const plain = (table: string): string => table.replaceAll('"', "");

const isErased = sql`tenants.status = 'deleted' and tenants.erase_after is null`;

/** Rows of the control plane, and jobs, of tenants that were erased or never existed. */
export async function findControlStrays(control: Control): Promise<readonly Stray[]> {
  const strays: Stray[] = [];
  const note = (where: string, rows: readonly { readonly id: string }[]) => {
    if (rows.length > 0) strays.push({ where, tenantIds: rows.map(({ id }) => id) });
  };
  for (const table of tablesByTenant) {
    const { rows } = await sql<{ id: string }>`
      select id from control.tenants
      where ${isErased} and exists (
        select from ${sql.table(table)} as held where held.tenant_id = tenants.id)
      limit ${mostNamed}`.execute(control);
    note(table, rows);
  }
  const { rows: queues } = await sql<{ id: string }>`
    select distinct queue as id from control.jobs
    where queue <> ${platformQueue} and not exists (
      select from control.tenants where tenants.id::text = queue and not (${isErased}))
    limit ${mostNamed}`.execute(control);
  note("control.jobs", queues);
  return strays;
}

/** Files of tenants that were erased or never existed. */
export async function findStrayFiles(
  control: Control,
  storage: Pick<Storage, "tenants">,
): Promise<readonly Stray[]> {
  const tenantIds: string[] = [];
  const look = async (ids: readonly TenantId[]) => {
    const { rows } = await sql<{ id: string }>`
      select present.id from unnest(${ids}::uuid[]) as present (id)
      where not exists (
        select from control.tenants where tenants.id = present.id and not (${isErased}))
      limit ${mostNamed}`.execute(control);
    tenantIds.push(...rows.map(({ id }) => id));
  };
  let batch: TenantId[] = [];
  for await (const id of storage.tenants()) {
    batch.push(id);
    if (batch.length < 1_000) continue;
    await look(batch);
    batch = [];
    if (tenantIds.length >= mostNamed) break;
  }
  await look(batch);
  return tenantIds.length > 0 ? [{ where: "files", tenantIds: tenantIds.slice(0, mostNamed) }] : [];
}
