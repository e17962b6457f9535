/**
 * The register of data places: every place that may store data of a tenant. Erasing a tenant erases
 * each place in this order and then asks each whether anything is left:
 *
 *   files → rows → placement → control plane → jobs → redis → caches
 *
 * Code that stores tenant data in a new place adds it here; a new table of the control plane gets
 * an entry in `control-places.ts`. docs/erasure.md lists what no place covers, and why: the
 * tombstone, the platform's audit log, log lines, traces, backups.
 */
import { type Kysely, sql } from "kysely";
import { type Connect, withOwner } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { countKeys, eraseKeys } from "../redis/erase-keys.ts";
import type { Redis } from "../redis/redis.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Storage } from "../storage/storage.ts";
import { tablesByTenant } from "./control-places.ts";
import type { Provisioning } from "./provisioning.ts";
import { asOwnerOf, countedRows, countRows, eraseRows } from "./tenant-rows.ts";

/** A tenant and its placement. Without a placement, its rows are erased or never existed. */
export interface PlacedTenant {
  readonly id: TenantId;
  readonly placement: Placement | undefined;
}

export interface DataPlace {
  readonly name: string;
  /** Which data of a tenant it stores. */
  readonly holds: string;
  /** Erases the tenant's data. Idempotent; after a failure it continues where it stopped. */
  erase(tenant: PlacedTenant): Promise<void>;
  /** How much is left; counts at most a thousand of each kind. Absent if it can't be counted. */
  readonly residue?: (tenant: PlacedTenant) => Promise<number>;
}

export interface DataPlacesOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  /** The database of the control plane. */
  readonly main: { readonly id: string; readonly database: string };
  readonly provisioning: Pick<Provisioning, "retire" | "exists">;
  readonly storage: Pick<Storage, "of" | "erase">;
  readonly redis: Redis | undefined;
  /** Makes all nodes drop what they have cached of the tenant. */
  readonly announceErased: (id: TenantId) => Promise<void>;
}

export function createDataPlaces(options: DataPlacesOptions): readonly DataPlace[] {
  const { redis } = options;
  return [
    files(options),
    rows(options),
    placement(options),
    controlPlane(options),
    jobs(options),
    ...(redis ? [redisKeys(redis)] : []),
    {
      name: "caches",
      holds: "what each node's memory has of the tenant: its settings, users, cached values",
      erase: ({ id }) => options.announceErased(id),
    },
  ];
}

const files = ({ storage }: DataPlacesOptions): DataPlace => ({
  name: "files",
  holds: "the bytes of files and uploads, below the tenant's id in the folder or the bucket",
  erase: ({ id }) => storage.erase(id),
  async residue({ id }) {
    let count = 0;
    for await (const _ of storage.of({ id }).list()) {
      count += 1;
      if (count === countedRows) break;
    }
    return count;
  },
});

const rows = ({ connect }: DataPlacesOptions): DataPlace => ({
  name: "rows",
  holds: "the tenant's rows in the tables of features, where it shares them with others",
  async erase({ id, placement }) {
    if (placement?.isolation !== "pool") return;
    await withOwner(connect, placement, (client) => eraseRows(client, placement.schema, id));
  },
  async residue({ id, placement }) {
    if (placement?.isolation !== "pool") return 0;
    return withOwner(connect, placement, (client) => countRows(client, placement.schema, id));
  },
});

const placement = ({ provisioning }: DataPlacesOptions): DataPlace => ({
  name: "placement",
  holds:
    "the tenant's own database or schema, with its rows, its role, and its row in control.placements",
  async erase({ placement }) {
    if (placement && placement.isolation !== "pool") await provisioning.retire(placement);
  },
  async residue({ placement }) {
    if (!placement || placement.isolation === "pool") return 0;
    return (await provisioning.exists(placement)) ? 1 : 0;
  },
});

/**
 * Runs as the owner: the control plane's own role may not delete everything, such as
 * impersonations.
 */
function controlPlane({ connect, main }: DataPlacesOptions): DataPlace {
  const database = { serverId: main.id, database: main.database };
  const counts = tablesByTenant.map(
    (table) =>
      `(select count(*) from (select from ${table} where tenant_id = $1 limit ${countedRows}) counted)`,
  );
  return {
    name: "control plane",
    holds: `rows of ${tablesByTenant.length} tables in the schema control`,
    erase: ({ id }) =>
      withOwner(connect, database, (client) =>
        asOwnerOf(client, id, async () => {
          for (const table of tablesByTenant) {
            await client.query(`delete from ${table} where tenant_id = $1`, [id]);
          }
        }),
      ),
    residue: ({ id }) =>
      withOwner(connect, database, (client) =>
        asOwnerOf(client, id, async () => {
          const { rows } = await client.query<{ rows: string }>(
            `select ${counts.join(" + ")} as rows`,
            [id],
          );
          return Number(rows[0]?.rows ?? 0);
        }),
      ),
  };
}

const jobs = ({ control }: DataPlacesOptions): DataPlace => ({
  name: "jobs",
  holds: "the tenant's queue: jobs that wait, run, have failed or are done",
  async erase({ id }) {
    await sql`delete from control.jobs where queue = ${id}`.execute(control);
  },
  async residue({ id }) {
    const { rows } = await sql<{ rows: string }>`
      select count(*) as rows from (
        select from control.jobs where queue = ${id} limit ${sql.lit(countedRows)}) counted
    `.execute(control);
    return Number(rows[0]?.rows ?? 0);
  },
});

const redisKeys = (redis: Redis): DataPlace => ({
  name: "redis",
  holds: "cached values, sessions of visitors, rate limits: keys that begin with the tenant's id",
  erase: ({ id }) => eraseKeys(redis, id),
  residue: ({ id }) => countKeys(redis, id),
});
