/**
 * The PostgreSQL servers that tenants are placed on. The first, `main`, is the one in DATABASE_URL and
 * holds the control plane; of the others the control plane keeps the URL, sealed.
 */
import type { Kysely } from "kysely";
import type { ControlTables } from "../database/control-tables.ts";
import type { Migrations } from "../database/migration-files.ts";
import { checkConnections } from "../database/pooler.ts";
import { dataSchema } from "../database/scope.ts";
import type { ConnectionConfig } from "../database/session-settings.ts";
import type { Target } from "../database/target.ts";
import { defineError } from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import { isUuid } from "../uuid.ts";
import {
  type ConnectionSettings,
  connectionConfig,
  roleSettings,
  type ServerUrls,
  serverUrls,
} from "./connection-config.ts";
import { type MainServer, prepareDataServer } from "./prepare.ts";

export const serverNotFound = defineError("server_not_found", 404, "There is no such server");
export const serverExists = defineError("server_exists", 409, "There is a server of this name");
export const serverNameInvalid = defineError(
  "server_name_invalid",
  400,
  "Server names are [a-z0-9] then [a-z0-9_-], at most 63, and not in the form of an id",
);
export const noServerAccepts = defineError(
  "no_server_accepts",
  503,
  "No server accepts new tenants",
);

export interface Server {
  readonly id: string;
  readonly name: string;
  readonly weight: number;
  readonly accepting: boolean;
  /** How many tenants are placed on it; the deleted ones don't count. */
  readonly tenants: number;
}

export interface NewServer {
  readonly name: string;
  /** The administrator's connection URL. */
  readonly url: string;
  /** If `url` leads to a connection pooler: the administrator's of PostgreSQL itself. */
  readonly directUrl?: string | undefined;
  readonly weight?: number;
}

export interface Servers {
  list(): Promise<readonly Server[]>;
  /** @param server its id or name. @throws AppError 404 `server_not_found`. */
  get(server: string): Promise<Server>;
  /**
   * Where the next tenant goes: of the servers that accept tenants, the one with the fewest tenants
   * for its weight; of equal ones, the first by name.
   *
   * @throws AppError 503 `no_server_accepts`.
   */
  pick(): Promise<Server>;
  /** Prepares the server (roles, database, tables) and adds it. Can be repeated if it failed. */
  add(server: NewServer): Promise<Server>;
  /** Changes a server's weight, or whether it accepts new tenants. */
  update(
    server: string,
    change: { readonly weight?: number; readonly accepting?: boolean },
  ): Promise<Server>;
  /** How to log in to a target: the broker's `resolve`. */
  connectionConfig(target: Target): Promise<ConnectionConfig>;
}

export interface ServersOptions {
  readonly control: Kysely<ControlTables>;
  readonly main: MainServer;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
}

const sealPurpose = "server-url";

/** @param options.control a connection to the control plane, which `main` must not need to resolve. */
export function createServers(options: ServersOptions): Servers {
  const { control, main, migrations, secrets, settings } = options;
  const urls = new Map<string, Promise<ServerUrls>>([[main.id, Promise.resolve(main)]]);

  const findUrls = async (serverId: string): Promise<ServerUrls> => {
    const row = await control
      .selectFrom("control.servers")
      .select("sealed_url")
      .where("id", "=", serverId)
      .executeTakeFirst();
    if (!row?.sealed_url) throw serverNotFound();
    return readUrls(secrets.open(sealPurpose, row.sealed_url));
  };

  // A server's URL doesn't change while the process lives; failures aren't kept.
  const urlsOf = (serverId: string): Promise<ServerUrls> => {
    const known = urls.get(serverId);
    if (known) return known;
    const found = findUrls(serverId);
    urls.set(serverId, found);
    found.catch(() => urls.delete(serverId));
    return found;
  };

  const list = async (): Promise<readonly Server[]> => {
    const rows = await control
      .selectFrom("control.servers as s")
      .leftJoin("control.placements as p", "p.server_id", "s.id")
      .leftJoin("control.tenants as t", (join) =>
        join.onRef("t.placement_id", "=", "p.id").on("t.status", "<>", "deleted"),
      )
      .select(["s.id", "s.name", "s.weight", "s.accepting"])
      .select((eb) => eb.fn.count("t.id").as("tenants"))
      .groupBy("s.id")
      .orderBy("s.name")
      .execute();
    return rows.map((row) => ({ ...row, tenants: Number(row.tenants) }));
  };

  const get = async (server: string): Promise<Server> => {
    const known = await list();
    const found =
      known.find(({ id }) => id === server) ?? known.find(({ name }) => name === server);
    if (!found) throw serverNotFound();
    return found;
  };

  return {
    list,
    get,

    async pick() {
      const best = pickServer(await list());
      if (!best) throw noServerAccepts();
      return best;
    },

    async add({ name, url, directUrl, weight = 1 }) {
      if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name) || isUuid(name)) throw serverNameInvalid();
      if ((await list()).some((server) => server.name === name)) throw serverExists();
      const { database } = main;
      const places = serverUrls(url, directUrl);
      await prepareDataServer({
        ...{ url: places.url, database, secrets, migrations },
        roleSettings: places.poolerUrl === undefined ? undefined : roleSettings(settings),
      });
      await checkConnections([
        connectionConfig({
          ...{ ...places, database, role: "app", mainDatabase: database, secrets, settings },
        }),
      ]);
      await control.transaction().execute(async (tx) => {
        const server = await tx
          .insertInto("control.servers")
          .values({ name, weight, sealed_url: secrets.seal(sealPurpose, writeUrls(places)) })
          .returning("id")
          .executeTakeFirstOrThrow();
        // Its pool is migrated from now on with all others, also while no tenant is in it.
        await tx
          .insertInto("control.placements")
          .values({
            server_id: server.id,
            database: main.database,
            schema: dataSchema,
            isolation: "pool",
            version: migrations.version,
          })
          .execute();
      });
      return get(name);
    },

    async update(server, change) {
      const { id, name } = await get(server);
      await control.updateTable("control.servers").set(change).where("id", "=", id).execute();
      return get(name);
    },

    async connectionConfig({ serverId, database, role }) {
      return connectionConfig({
        ...(await urlsOf(serverId)),
        database,
        role,
        mainDatabase: main.database,
        secrets,
        settings,
      });
    },
  };
}

/** The administrator's URL, and after a space that of a pooler, if there is one. */
const writeUrls = ({ url, poolerUrl }: ServerUrls): string =>
  poolerUrl === undefined ? url : `${url} ${poolerUrl}`;

function readUrls(text: string): ServerUrls {
  const [url = "", poolerUrl] = text.split(" ");
  return { url, poolerUrl };
}

/** The rule of `Servers.pick`. */
export function pickServer(servers: readonly Server[]): Server | undefined {
  const load = ({ tenants, weight }: Server) => tenants / weight;
  return servers
    .filter(({ accepting }) => accepting)
    .toSorted((a, b) => load(a) - load(b) || (a.name < b.name ? -1 : 1))[0];
}
