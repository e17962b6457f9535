/**
 * Creates and removes tenants' placements.
 *
 * - `pool`: the server's pool, shared by all its tenants. Nothing is created.
 * - `schema`: a schema in the server's main database, migrated in one transaction.
 * - `database`: a copy of the template, and a login that can connect to nothing else.
 *
 * The row in `control.placements` is written last. Whoever creates or removes a place holds its
 * advisory lock, so a place without a row and without a lock was left behind by a crash:
 * `findOrphans`.
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
import type { TenantId } from "../lib/ids.ts";
import type { Secrets } from "../lib/secrets.ts";
import type { Isolation, Placement } from "../model/tenant.ts";
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

export const serverUnavailable = defineError(
  "server_unavailable",
  503,
  "The database server that you named does not respond. Retry later, or name another.",
);

/** Otherwise a tenant's new schema or database would lack the tables of these features. */
export const featuresMissing = defineError(
  "features_missing",
  503,
  "This node lacks features that the database has. Send the request to a node of the current version.",
);

export interface PlaceOptions {
  readonly isolation: Isolation;
  /** The id or name of a reachable server; default: the choice of `Servers.pick`. */
  readonly server?: string | undefined;
  /** A database or schema name prescribed from outside, such as `tenant_acme_corp`. */
  readonly name?: string | undefined;
}

export interface Provisioning {
  /**
   * Creates a migrated placement for the tenant. Idempotent.
   *
   * @throws AppError `placement_name_invalid`, `placement_name_taken`, `server_not_found`,
   *   `server_unavailable`, `no_server_accepts`, `features_missing`; then nothing was created
   */
  place(tenantId: TenantId, options: PlaceOptions): Promise<Placement>;
  /** Drops a schema or database with its contents, and its row. A pool stays. Idempotent. */
  retire(place: Place): Promise<void>;
  /** Whether the database or schema, or a role of its name, exists. */
  exists(place: Place): Promise<boolean>;
  /**
   * Finds leftovers of crashes: places without a row, and rows without a tenant.
   *
   * @param serverIds the servers to search
   */
  findOrphans(serverIds: readonly string[]): Promise<readonly Place[]>;
  /** Builds the server's template in advance, so that the first tenant doesn't wait for it. */
  prepareTemplate(serverId: string): Promise<void>;
}

export interface ProvisioningOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  readonly servers: Pick<Servers, "idOf" | "pick">;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  /** The name of the database of pool and schemas, the same on every server. */
  readonly mainDatabase: string;
  /** Closes this process's connections to a database that is about to be dropped. */
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

  /** Creates or drops tables. */
  const asAdministratorOnce = <Result>(
    { serverId, isolation }: Place,
    fn: (client: pg.Client) => Promise<Result>,
  ): Promise<Result> =>
    isolation === "schema"
      ? withOwnerOnce(connect, { serverId, database: mainDatabase }, fn)
      : asAdministrator(serverId, fn);

  /** Connects to another database of the server. */
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
          // A name derived from the tenant's id can only be left over from a crash of an earlier
          // attempt.
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
