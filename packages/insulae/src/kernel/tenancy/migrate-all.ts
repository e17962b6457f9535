/**
 * Migrates every placement of every server, independently. A failure is reported and does not stop
 * the others; running it again applies what is missing, because each placement records its own
 * migrations.
 *
 * Placements may be added and dropped meanwhile. The list is read again until it has no new ones,
 * so a tenant created by an older node is found; a dropped one is reported as `gone`.
 */
import { type Kysely, sql } from "kysely";
import { type Connect, withOwner, withOwnerOnce } from "../engine/connect.ts";
import type { Placement } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Migrations } from "../schema/migration-files.ts";
import { findCurrent, type MigrateOptions, migratePlacement } from "../schema/migrator.ts";
import { placementColumns, placementOf, writeVersion } from "./placements.ts";

export type PlacementOutcome = { readonly placement: Placement } & (
  | { readonly state: "migrated"; readonly applied: readonly string[] }
  | { readonly state: "current" }
  | { readonly state: "gone" }
  | { readonly state: "failed"; readonly error: unknown }
);

export interface MigrateAllOptions extends MigrateOptions {
  readonly connect: Connect;
  readonly control: Kysely<ControlTables>;
  readonly migrations: Migrations;
  /** Number of placements in parallel, each on one connection; default 2. */
  readonly concurrency?: number;
  /** Called after each placement. `total` grows if placements are added meanwhile. */
  readonly onProgress?: (done: number, total: number, outcome: PlacementOutcome) => void;
}

/**
 * @example
 * const outcomes = await migrateAll({ connect, control, migrations });
 * const failed = outcomes.filter((outcome) => outcome.state === "failed");
 */
export async function migrateAll(options: MigrateAllOptions): Promise<readonly PlacementOutcome[]> {
  const seen = new Set<string>();
  const outcomes: PlacementOutcome[] = [];
  for (;;) {
    const added = (await listPlacements(options.control)).filter(({ id }) => !seen.has(id));
    if (added.length === 0) return outcomes;
    for (const { id } of added) seen.add(id);

    const queue = byDatabase(added).values();
    const worker = async () => {
      for (const placements of queue) {
        const versions = await currentVersions(placements, options);
        for (const placement of placements) {
          const outcome = await migrateOne(placement, options, versions.get(placement.schema));
          outcomes.push(outcome);
          options.onProgress?.(outcomes.length, seen.size, outcome);
        }
      }
    };
    await Promise.all(Array.from({ length: options.concurrency ?? 2 }, worker));
  }
}

/** At most this many schemas of a database are checked in one query. */
const mostTogether = 50;

/** Groups placements by database, up to fifty in a group. */
export function byDatabase(placements: readonly Placement[]): readonly (readonly Placement[])[] {
  const databases = Map.groupBy(placements, ({ serverId, database }) => `${serverId}/${database}`);
  return [...databases.values()].flatMap((all) =>
    Array.from({ length: Math.ceil(all.length / mostTogether) }, (_, i) =>
      all.slice(i * mostTogether, (i + 1) * mostTogether),
    ),
  );
}

/** If a group can't be read together, each placement's own attempt reports why. */
const currentVersions = (
  placements: readonly Placement[],
  { connect, migrations }: MigrateAllOptions,
): Promise<ReadonlyMap<string, number>> => {
  const [first] = placements;
  if (!first) return Promise.resolve(new Map());
  const schemas = placements.map(({ schema }) => schema);
  return withOwner(connect, first, (client) => findCurrent(client, schemas, migrations)).catch(
    () => new Map(),
  );
};

/** @param current its version if nothing is pending */
async function migrateOne(
  placement: Placement,
  options: MigrateAllOptions,
  current: number | undefined,
): Promise<PlacementOutcome> {
  const { connect, control, migrations } = options;
  const { id, schema } = placement;
  try {
    const { applied, version } =
      current !== undefined
        ? { applied: [], version: current }
        : await withOwnerOnce(connect, placement, (client) =>
            migratePlacement(client, schema, migrations, options),
          );
    if (version !== placement.version) {
      await writeVersion(control, placement, version);
    }
    return applied.length > 0
      ? { placement, state: "migrated", applied }
      : { placement, state: "current" };
  } catch (error) {
    const row = await control
      .selectFrom("control.placements as p")
      .leftJoin("control.tenants as t", "t.placement_id", "p.id")
      .select("p.id")
      .where("p.id", "=", id)
      // The database is dropped before its row: while a tenant is being erased, it may be gone
      // already.
      .where(sql<boolean>`(p.isolation = 'pool' or t.erase_after is null or t.erase_after > now())`)
      .executeTakeFirst();
    return row ? { placement, state: "failed", error } : { placement, state: "gone" };
  }
}

/** All placements of all servers. */
export async function listPlacements(
  control: Kysely<ControlTables>,
): Promise<readonly Placement[]> {
  const rows = await control
    .selectFrom("control.placements")
    .select(placementColumns)
    .orderBy("isolation", "desc")
    .orderBy("id")
    .execute();
  return rows.map(placementOf);
}
