/**
 * The PostgreSQL servers that tenants are placed on. The first, `main`, is that of DATABASE_URL and
 * holds the control plane, which stores the others' URLs, encrypted. `server-changes.ts` adds,
 * changes and removes them.
 */

import { parseIntoClientConfig } from "pg-connection-string";
import type { ConnectionConfig } from "../engine/session-settings.ts";
import type { Target } from "../engine/target.ts";
import { defineError } from "../lib/errors.ts";
import { connectionConfig, readUrls, writeUrls } from "./connection-config.ts";
import type { Server, ServersOptions } from "./server.ts";
import {
  createServerChanges,
  type ServerChanges,
  type ServerTenant,
  sealPurpose,
  tenantsOn,
} from "./server-changes.ts";

export const serverNotFound = defineError("server_not_found", 404, "This server does not exist");
export const noServerAccepts = defineError(
  "no_server_accepts",
  503,
  "No database server accepts new tenants. Ask a platform administrator to add or enable one.",
);

export interface Servers extends ServerChanges {
  list(): Promise<readonly Server[]>;
  /** @param server its id or name. @throws AppError 404 `server_not_found` */
  get(server: string): Promise<Server>;
  /** The same without counting tenants. @throws AppError 404 `server_not_found` */
  idOf(server: string): Promise<string>;
  /**
   * Chooses the server for the next tenant: of those that accept tenants and respond, the one with
   * the fewest tenants for its weight, then the first by name. Tenants are counted at most once a
   * minute, plus those that this process has placed since, and not at all if there is only one
   * candidate.
   *
   * @param answers asks a server; default: skip servers known not to respond
   * @throws AppError 503 `no_server_accepts`
   */
  pick(answers?: (serverId: string) => Promise<boolean>): Promise<{ readonly id: string }>;
  /** The tenants on it, including deleted ones whose rows are still there; ordered by id. */
  tenantsOn(
    serverId: string,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly ServerTenant[]>;
  /** The connection parameters of a target: the broker's `resolve`. */
  connectionConfig(target: Target): Promise<ConnectionConfig>;
  /** The server's name; its id if this process does not know the server yet. */
  nameOf(serverId: string): string;
  /** The ids of the servers that don't respond. */
  down(): readonly string[];
  /** Reloads the server's URLs (default: all servers') and reconnects if they have changed. */
  refresh(serverId?: string): Promise<void>;
}

const countedForMs = 60_000;

/**
 * @param options.control a connection to the control plane; it must not depend on resolving `main`
 * here
 */
export function createServers(options: ServersOptions): Servers {
  const { control, main, secrets, settings, broker } = options;
  /** In the format of `writeUrls`. */
  const urls = new Map<string, Promise<string>>([[main.id, Promise.resolve(writeUrls(main))]]);
  const names = new Map<string, string>([[main.id, "main"]]);
  let counted: { readonly at: number; readonly tenants: Map<string, number> } | undefined;

  const findUrls = async (serverId: string): Promise<string> => {
    const row = await control
      .selectFrom("control.servers")
      .select(["name", "sealed_url"])
      .where("id", "=", serverId)
      .executeTakeFirst();
    if (!row?.sealed_url) throw serverNotFound();
    names.set(serverId, row.name);
    return secrets.open(sealPurpose, row.sealed_url);
  };

  // Cached until a change is announced; failures are not cached.
  const urlsOf = (serverId: string): Promise<string> => {
    const known = urls.get(serverId);
    if (known) return known;
    const found = findUrls(serverId);
    urls.set(serverId, found);
    found.catch(() => {
      if (urls.get(serverId) === found) urls.delete(serverId);
    });
    return found;
  };

  const refreshOne = async (serverId: string): Promise<void> => {
    const before = await urls.get(serverId)?.catch(() => undefined);
    urls.delete(serverId);
    if (before === undefined) return;
    const after = await urlsOf(serverId).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === serverNotFound.code) return undefined;
      urls.set(serverId, Promise.resolve(before));
      throw error;
    });
    if (after === before) return;
    if (after === undefined) names.delete(serverId);
    broker?.renew(serverId);
  };

  const countTenants = async (): Promise<Map<string, number>> => {
    const rows = await control
      .selectFrom("control.placements as p")
      .innerJoin("control.tenants as t", "t.placement_id", "p.id")
      .where("t.status", "<>", "deleted")
      .select(["p.server_id", (eb) => eb.fn.countAll<string>().as("tenants")])
      .groupBy("p.server_id")
      .execute();
    return new Map(rows.map(({ server_id, tenants }) => [server_id, Number(tenants)]));
  };

  const rows = () =>
    control
      .selectFrom("control.servers")
      .select(["id", "name", "weight", "accepting", "sealed_url"])
      .orderBy("name");

  type Row = Awaited<ReturnType<ReturnType<typeof rows>["executeTakeFirstOrThrow"]>>;

  const viewOf = ({ sealed_url, ...row }: Row, tenants: number): Server => {
    names.set(row.id, row.name);
    const { url } = sealed_url === null ? main : readUrls(secrets.open(sealPurpose, sealed_url));
    return { ...row, address: addressOf(url), answers: !broker?.isDown(row.id), tenants };
  };

  const find = async (server: string): Promise<Row> => {
    const found = await rows()
      .where((eb) => eb.or([eb(eb.cast("id", "text"), "=", server), eb("name", "=", server)]))
      .execute();
    const row = found.find(({ id }) => id === server) ?? found[0];
    if (!row) throw serverNotFound();
    return row;
  };

  const get = async (server: string): Promise<Server> => {
    const row = await find(server);
    const { tenants } = await control
      .selectFrom("control.placements as p")
      .innerJoin("control.tenants as t", "t.placement_id", "p.id")
      .where("p.server_id", "=", row.id)
      .where("t.status", "<>", "deleted")
      .select((eb) => eb.fn.countAll<string>().as("tenants"))
      .executeTakeFirstOrThrow();
    return viewOf(row, Number(tenants));
  };

  /** The servers that accept tenants, best first. */
  const candidates = async () => {
    const accepting = await rows().where("accepting", "=", true).execute();
    if (accepting.length < 2) return accepting.map((row) => ({ ...row, tenants: 0 }));
    if (counted === undefined || performance.now() - counted.at > countedForMs) {
      counted = { at: performance.now(), tenants: await countTenants() };
    }
    const { tenants } = counted;
    return rankServers(accepting.map((row) => ({ ...row, tenants: tenants.get(row.id) ?? 0 })));
  };

  return {
    async list() {
      const found = await rows().execute();
      const tenants = await countTenants();
      return found.map((row) => viewOf(row, tenants.get(row.id) ?? 0));
    },
    get,
    idOf: async (server) => (await find(server)).id,

    async pick(answers = async (id) => !broker?.isDown(id)) {
      for (const { id } of await candidates()) {
        // The main server has just responded: it is the control plane.
        if (id !== main.id && !(await answers(id))) continue;
        counted?.tenants.set(id, (counted.tenants.get(id) ?? 0) + 1);
        return { id };
      }
      throw noServerAccepts({ headers: { "Retry-After": "5" } });
    },

    ...createServerChanges(options, { find, get, refresh: refreshOne }),
    tenantsOn: (serverId, page) => tenantsOn(control, serverId, page),

    async connectionConfig({ serverId, database, role }) {
      return connectionConfig({
        ...readUrls(await urlsOf(serverId)),
        database,
        role,
        mainDatabase: main.database,
        secrets,
        settings,
      });
    },
    nameOf: (serverId) => names.get(serverId) ?? serverId,
    down: () =>
      [...(broker?.servers() ?? [])].flatMap(([id, { answers }]) => (answers ? [] : [id])),
    async refresh(serverId) {
      const known = serverId === undefined ? [...urls.keys()] : [serverId];
      for (const id of known) if (id !== main.id) await refreshOne(id);
    },
  };
}

/** Without user and password. */
export function addressOf(url: string): string {
  const { host, port } = parseIntoClientConfig(url);
  return host?.startsWith("/") ? host : `${host || "localhost"}:${port || 5432}`;
}

/** Sorts servers that accept tenants by the rule of `Servers.pick`, best first. */
export function rankServers<
  S extends { readonly name: string; readonly weight: number; readonly tenants: number },
>(servers: readonly S[]): S[] {
  const load = ({ tenants, weight }: S) => tenants / weight;
  return servers.toSorted((a, b) => load(a) - load(b) || (a.name < b.name ? -1 : 1));
}
