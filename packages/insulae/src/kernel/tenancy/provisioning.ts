/**
 * Gives a tenant its place, and takes it back.
 *
 * - `pool`: the row of the server's pool, which all its tenants share. Nothing is made.
 * - `schema`: a schema in the server's main database, migrated in one transaction.
 * - `database`: a copy of the template, and a login that can connect to nothing else.
 *
 * The row in `control.placements` is written last. Whoever is at work on a name holds its advisory
 * lock, so what exists, has no row and isn't locked was left behind by a crash: `findOrphans`.
 */
import type { Kysely } from "kysely";
import type pg from "pg";
import {
  answersNow,
  type Connect,
  inTransaction,
  withOwner,
  withOwnerOnce,
} from "../engine/connect.ts";
import { dataSchema } from "../engine/scope.ts";
import type { Target } from "../engine/target.ts";
import { defineError } from "../lib/errors.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { FeaturesMissing, refuseForeignFeatures } from "../schema/foreign-features.ts";
import type { Migrations } from "../schema/migration-files.ts";
import type { InDatabase } from "../schema/roles.ts";
import { ensureTemplate } from "../schema/template.ts";
import { findOrphans } from "./orphans.ts";
import {
  isTaken,
  makeDatabase,
  makeSchema,
  nameOf,
  removePlace,
  withNameLock,
} from "./physical.ts";
import {
  chosenName,
  deletePlacement,
  findPlacement,
  type Place,
  physicalName,
  placementNameTaken,
  writePlacement,
} from "./placements.ts";
import type { Servers } from "./servers.ts";
import type { Isolation, Placement, TenantId } from "./tenant.ts";

export const serverUnavailable = defineError(
  "server_unavailable",
  503,
  "The database server that you named does not respond. Retry later, or name another.",
);

/** A tenant's schema or database would lack their tables. */
export const featuresMissing = defineError(
  "features_missing",
  503,
  "This server lacks features that the database has. Ask a server of the current version",
);

export interface PlaceOptions {
  readonly isolation: Isolation;
  /** The id or name of a server that answers; default: the one that `Servers.pick` names. */
  readonly server?: string | undefined;
  /** A database or schema name prescribed from outside, such as `tenant_acme_corp`. */
  readonly name?: string | undefined;
}

export interface Provisioning {
  /**
   * Gives the tenant a place that is migrated and ready. Asked again, it gives the same.
   *
   * @throws AppError `placement_name_invalid`, `placement_name_taken`, `server_not_found`,
   *   `server_unavailable`, `no_server_accepts`, `features_missing`. Then nothing was made.
   */
  place(tenantId: TenantId, options: PlaceOptions): Promise<Placement>;
  /**
   * Drops a schema or database and all in it, and forgets whose it was. A pool stays, and who shares
   * it. Can be repeated.
   */
  retire(place: Place): Promise<void>;
  /** Whether there is such a database or schema, or a role of its name. */
  exists(place: Place): Promise<boolean>;
  /**
   * What a crash left behind: places without a row, and rows that no tenant has.
   *
   * @param serverIds where to look.
   */
  findOrphans(serverIds: readonly string[]): Promise<readonly Place[]>;
  /** Builds the server's template, so that the first tenant doesn't wait for it. */
  prepareTemplate(serverId: string): Promise<void>;
}

export interface ProvisioningOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  readonly servers: Pick<Servers, "idOf" | "pick">;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  /** The name of the database of pool and schemas, the same on each server. */
  readonly mainDatabase: string;
  /** Closes the process's own connections to a database that is about to be dropped. */
  readonly closeTarget?: (match: (target: Target) => boolean) => Promise<void>;
}

export function createProvisioning(options: ProvisioningOptions): Provisioning {
  const { control, connect, servers, migrations, mainDatabase } = options;
  const pools = new Map<string, Placement>();

  const asAdministrator = <Result>(
    serverId: string,
    fn: (client: pg.Client) => Promise<Result>,
  ): Promise<Result> => withOwner(connect, { serverId, database: mainDatabase }, fn);

  const answers = (serverId: string): Promise<boolean> =>
    answersNow(connect, { serverId, database: mainDatabase, role: "owner" });

  const named = async (server: string): Promise<string> => {
    const serverId = await servers.idOf(server);
    if (await answers(serverId)) return serverId;
    throw serverUnavailable({ headers: { "Retry-After": "5" } });
  };

  /** To make or drop tables. */
  const asAdministratorOnce = <Result>(
    { serverId, isolation }: Place,
    fn: (client: pg.Client) => Promise<Result>,
  ): Promise<Result> =>
    isolation === "schema"
      ? withOwnerOnce(connect, { serverId, database: mainDatabase }, fn)
      : asAdministrator(serverId, fn);

  /** In another database of the server. */
  const inDatabaseOf =
    (serverId: string): InDatabase =>
    (database, fn) =>
      withOwnerOnce(connect, { serverId, database }, fn);
  const remove = (client: pg.Client, place: Place): Promise<void> =>
    removePlace(client, place, mainDatabase, inDatabaseOf(place.serverId));

  const placeInPool = async (serverId: string): Promise<Placement> => {
    const known = pools.get(serverId);
    if (known) return known;
    const place = {
      serverId,
      database: mainDatabase,
      schema: dataSchema,
      isolation: "pool",
    } as const;
    const pool =
      (await findPlacement(control, place)) ??
      (await writePlacement(control, place, migrations.version));
    pools.set(serverId, pool);
    return pool;
  };

  const refuseForeign = (client: pg.Client): Promise<void> =>
    inTransaction(client, async () => {
      await client.query("set local role insulae_owner");
      await refuseForeignFeatures(client, migrations);
    }).catch((error: unknown) => {
      throw error instanceof FeaturesMissing ? featuresMissing({ cause: error }) : error;
    });

  const makePhysical = async (client: pg.Client, place: Place): Promise<void> => {
    await refuseForeign(client);
    if (place.isolation === "schema") return makeSchema(client, place.schema, migrations);
    const template = () => ensureTemplate(client, { ...options, serverId: place.serverId });
    return makeDatabase(client, place.database, { ...options, template });
  };

  const make = (place: Place, chosen: boolean): Promise<Placement> =>
    asAdministratorOnce(place, (client) =>
      withNameLock(client, place, async () => {
        const existing = await findPlacement(control, place);
        if (existing && !chosen) return existing;
        if (await isTaken(client, nameOf(place))) {
          // A name from the tenant's id can only be what a crash of the first attempt left behind.
          if (chosen) throw placementNameTaken();
          await remove(client, place);
        }
        try {
          await makePhysical(client, place);
          return await writePlacement(control, place, migrations.version);
        } catch (error) {
          await remove(client, place).catch(() => undefined);
          throw error;
        }
      }),
    );

  return {
    async place(tenantId, { isolation, server, name }) {
      const physical = name === undefined ? physicalName(tenantId) : chosenName(name, mainDatabase);
      const chosen = name !== undefined;
      const serverId =
        server === undefined ? (await servers.pick(answers)).id : await named(server);
      switch (isolation) {
        case "pool":
          return placeInPool(serverId);
        case "schema":
          return make({ serverId, database: mainDatabase, schema: physical, isolation }, chosen);
        case "database":
          return make({ serverId, database: physical, schema: dataSchema, isolation }, chosen);
      }
    },

    async retire(place) {
      if (place.isolation === "pool") return;
      const { serverId, database } = place;
      if (place.isolation === "database") {
        await options.closeTarget?.((t) => t.serverId === serverId && t.database === database);
      }
      await asAdministratorOnce(place, (client) =>
        withNameLock(client, place, () => remove(client, place)),
      );
      await deletePlacement(control, place);
    },

    exists: ({ serverId, ...place }) =>
      asAdministrator(serverId, (client) => isTaken(client, nameOf({ serverId, ...place }))),

    findOrphans: async (serverIds) => {
      const found = await Promise.all(
        serverIds.map((id) =>
          asAdministrator(id, (client) => findOrphans(client, control, id, mainDatabase)),
        ),
      );
      return found.flat();
    },

    async prepareTemplate(serverId) {
      await asAdministrator(serverId, (client) => ensureTemplate(client, { ...options, serverId }));
    },
  };
}
